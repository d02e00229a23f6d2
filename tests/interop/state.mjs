// What survives: one file, replaced in one step, so that nothing is ever half done.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'state.json';

export class Store {
  constructor(directory) {
    this.directory = directory;
    this.path = join(directory, NAME);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.state = this.#read();
  }

  #read() {
    try {
      return JSON.parse(readFileSync(this.path, 'utf8'));
    } catch (error) {
      // A record that cannot be read must never become a machine fresh from its box.
      if (error.code === 'ENOENT') return null;
      throw error;
    }
  }

  commit(state) {
    const aside = `${this.path}.new`;
    const file = openSync(aside, 'w', 0o600);
    writeSync(file, JSON.stringify(state));
    fsyncSync(file);
    closeSync(file);
    renameSync(aside, this.path);
    const directory = openSync(this.directory, 'r');
    fsyncSync(directory);
    closeSync(directory);
    this.state = state;
  }

  /** Change a copy and commit it; `change` may be asynchronous. Returns what `change` returned. */
  async update(change) {
    const draft = structuredClone(this.state);
    const result = await change(draft);
    this.commit(draft);
    return result;
  }
}

export function memoryStore(state) {
  const store = Object.create(Store.prototype);
  store.state = state;
  store.commit = (next) => {
    store.state = next;
  };
  return store;
}
