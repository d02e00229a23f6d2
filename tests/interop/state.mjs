// What survives: one file, replaced in one step, so that nothing is ever half done.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOCK_PAUSE_MS = 20;

function readOr(path, missing) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // A record that cannot be read must never become a machine fresh from its box.
    if (error.code === 'ENOENT') return missing;
    throw error;
  }
}

function writeWhole(path, text, flags) {
  const file = openSync(path, flags, 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function flushDirectory(path) {
  const directory = openSync(path, 'r');
  fsyncSync(directory);
  closeSync(directory);
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** The work at the till and the sign-on screen are processes of their own here, hence the lock. */
export class Store {
  constructor(directory) {
    this.directory = directory;
    this.path = join(directory, 'state.json');
    this.lock = join(directory, 'lock');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  get state() {
    return JSON.parse(readOr(this.path, 'null'));
  }

  commit(state) {
    const aside = `${this.path}.new`;
    writeWhole(aside, JSON.stringify(state), 'w');
    renameSync(aside, this.path);
    flushDirectory(this.directory);
  }

  async #hold() {
    for (;;) {
      try {
        return writeWhole(this.lock, String(process.pid), 'wx');
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const holder = Number(readOr(this.lock, '') || process.pid);
      if (!isAlive(holder)) rmSync(this.lock, { force: true });
      await sleep(LOCK_PAUSE_MS);
    }
  }

  /** Change a copy and commit it; `change` may be asynchronous. Returns what `change` returned. */
  async update(change) {
    await this.#hold();
    try {
      const draft = this.state;
      const result = await change(draft);
      this.commit(draft);
      return result;
    } finally {
      rmSync(this.lock, { force: true });
    }
  }
}

/** By how much the clock is off: what the processes of one machine share until its power fails. */
export class Memory {
  constructor(directory) {
    this.path = join(directory, 'memory');
  }

  get offset() {
    return Number(readOr(this.path, '0'));
  }

  set offset(seconds) {
    const aside = `${this.path}.${process.pid}`;
    writeWhole(aside, String(seconds), 'w');
    renameSync(aside, this.path);
  }
}

/** For the vectors: nothing is kept. */
export class MemoryStore {
  constructor(state) {
    this.state = state;
  }

  async update(change) {
    const draft = structuredClone(this.state);
    const result = await change(draft);
    this.state = draft;
    return result;
  }
}
