#!/usr/bin/env node
// Hands for the conformance kit: `node hands.mjs DIR VERB WORDS…` does at this machine what the kit asks for.

import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TERMINAL = fileURLToPath(new URL('terminal.mjs', import.meta.url));
const OPERATORS = ['00:739154', '03:2846', '99:40718263'];
const CANNOT = 3;

const [state, verb, ...words] = process.argv.slice(2);
const running = join(state, 'running');

/** One command of the terminal to its end; returns the last thing it said, and whether that was a yes. */
function now(...command) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [TERMINAL, ...command, '--state', state]);
  process.stderr.write(stderr);
  return { said: JSON.parse(String(stdout).trim().split('\n').pop() || '{}'), isYes: status === 0 };
}

/** One that goes on when the hands are gone; its process id is written down. */
function leaveRunning(...command) {
  const log = openSync(join(state, 'log'), 'a');
  const options = { detached: true, stdio: ['ignore', log, log] };
  const child = spawn(process.execPath, [TERMINAL, ...command, '--state', state], options);
  child.unref();
  appendFileSync(running, `${child.pid}\n`);
}

function pair(qr) {
  now('enroll', qr, ...OPERATORS.flatMap((one) => ['--operator', one]));
  if (existsSync(join(state, 'state.json')) && !existsSync(running)) leaveRunning('run');
}

const okOrNo = ({ isYes }) => (isYes ? 'ok' : 'no');

const VERBS = {
  pair,
  busy: (what) => void now('set', what === 'on' ? 'busy' : 'idle'),
  signon: (op, password) => okOrNo(now('signon', '--op', op, '--password', password)),
  roll: () => void now('roll'),
  forgot: (op) => leaveRunning('forgot', '--op', op),
  question: (op) => now('unlock', '--op', op).said.question,
  answer: (op, digits, password) => okOrNo(now('unlock', '--op', op, '--answer', digits, '--new', password)),
};

if (!(verb in VERBS)) process.exit(CANNOT);
console.log(VERBS[verb](...words) ?? '');
