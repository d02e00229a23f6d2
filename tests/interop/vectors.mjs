// docs/vectors through this terminal: `node vectors.mjs DIRECTORY` prints one line a file and every difference.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { KNOWN } from './claims.mjs';
import { openSecretPart, receive } from './command.mjs';
import { kidOf, soundKey, thumbprint } from './keys.mjs';
import { firstKeyset, step } from './keyset.mjs';
import { damm, ocra, sessionOf } from './offline.mjs';
import { isPassword, newOperator } from './operators.mjs';
import { readCode, readQr } from './pairing-code.mjs';
import { MemoryStore } from './state.mjs';
import { Malformed, decode, readObject } from './strict.mjs';

const ROUNDS = 1;
const FILES = ['json', 'key', 'pairing-code', 'ocra', 'sealed', 'keyset', 'command'];

const plain = (value) => JSON.parse(JSON.stringify(value));
const load = (directory, name) => JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8'));

function expand(input) {
  const isJoin = input && typeof input === 'object' && Array.isArray(input.join);
  if (!isJoin) return input;
  return input.join.map((part) => (typeof part === 'string' ? part : part[0].repeat(part[1]))).join('');
}

async function codeOr(work, code = 'malformed') {
  try {
    return await work();
  } catch (error) {
    return { code: error instanceof Malformed || code !== 'malformed' ? code : `crash: ${error.stack}` };
  }
}

async function makeTerminal(facts, keys) {
  const operators = {};
  for (const [op, password] of Object.entries(facts.operators)) operators[op] = newOperator(op, password, ROUNDS);
  const state = {
    origin: facts.origin, tid: facts.tid, sign: keys.keys.terminal_sign, open: keys.keys.terminal_open,
    kid: await kidOf(keys.keys.terminal_sign), hwm: facts.hwm, operators, done: [], outbox: [], boots: 0,
    keyset: await firstKeyset(keys.keyset, facts.origin, null),
  };
  return new MemoryStore(state);
}

function changeState(store, facts) {
  Object.assign(store.state, { floor: facts.time_floor, unsettled_batch: facts.unsettled_batch });
}

async function judgeCommand(store, token, facts, expect) {
  const known = store.state.done.map((one) => one.receipt.jws);
  const env = {
    now: facts.now, busy: facts.busy, supported: KNOWN, rounds: ROUNDS,
    walk: async () => {},
  };
  const { st, rc, receipt } = await receive(store, token, env);
  if (st === 'repeated') return known.includes(receipt.jws) ? { st } : { st: 'repeated, other bytes' };
  const wanted = Object.entries(expect.password ?? {});
  const inForce = wanted.every(([op, word]) => isPassword(store.state.operators[op].hashes[0], word));
  return {
    st, ...(rc ? { rc } : {}), hwm: store.state.hwm,
    ...(expect.password ? { password: inForce ? expect.password : 'another' } : {}),
  };
}

async function runCommand(vector, facts, keys, report) {
  const store = await makeTerminal(facts, keys);
  for (const one of vector.steps ?? [vector]) {
    Object.assign(facts, one.state);
    changeState(store, facts);
    const expect = one.expect.st === 'repeated' ? { st: 'repeated' } : one.expect;
    report(await codeOr(() => judgeCommand(store, expand(one.input), facts, expect)), expect);
  }
}

async function runKeyset(vector, facts, keys, report) {
  let held = await firstKeyset(keys.keyset, facts.origin, null);
  for (const one of vector.steps ?? [vector]) {
    const offered = await codeOr(() => step(held, expand(one.input), facts.origin));
    if (offered.ver) held = offered;
    else if (offered.code !== 'malformed') report(offered, {});
    report({ ver: held.ver }, one.expect);
  }
}

function readQuestion({ typed, last_seen: last }) {
  const digits = typed.replace(/\s/g, '');
  if (!/^[0-9]{10}$/.test(digits)) return { code: 'not_ten_digits' };
  if (damm(digits) !== 0) return { code: 'slip' };
  const ahead = (((Number(digits.slice(0, 2)) - last) % 100) + 100) % 100;
  return ahead >= 1 && ahead <= 50 ? { counter: last + ahead } : { code: 'out_of_window' };
}

function runOcra(input, right) {
  if ('typed' in input) return readQuestion(input);
  const key = Buffer.from(input.key, 'hex');
  const answer = ocra(input.suite, { ...input, key });
  if (!input.tid) return { answer };
  const session = sessionOf(input.tid, input.op);
  if (session !== input.session) return { answer: 'another session' };
  return { answer, same_as_the_right_one: answer === right };
}

async function runKey(input, crv) {
  const key = soundKey(input, crv);
  return { thumbprint: await thumbprint(key), kid: await kidOf(key) };
}

async function runSimple(vector, facts, keys, report, right) {
  const input = expand(vector.input);
  const runs = {
    json: async () => (readObject(decode(input)), { ok: true }),
    key: () => runKey(input, facts.crv),
    'pairing-code': async () => ('qr' in vector.expect ? { qr: readQr(input) } : { code: readCode(input) }),
    ocra: async () => runOcra(input, right),
    sealed: async () => ({ plaintext: plain(await openSecretPart(input, keys.keys[facts.key], facts.apv)) }),
  };
  report(await codeOr(runs[vector.kind], vector.kind === 'sealed' ? 'open_failed' : 'malformed'), vector.expect);
}

const rightAnswer = (vectors) => vectors.find((one) => one.expect?.same_as_the_right_one)?.expect.answer;

async function runFile(directory, name, keys) {
  const { state, vectors } = load(directory, name);
  const failed = [];
  for (const vector of vectors) {
    const report = (got, expect) => {
      if (!isDeepStrictEqual(plain(got), expect)) failed.push({ id: vector.id, expect, got });
    };
    const facts = structuredClone({ ...state, ...vector.state });
    const runners = { command: runCommand, keyset: runKeyset };
    await (runners[name] ?? runSimple)(vector, facts, keys, report, rightAnswer(vectors));
  }
  const wrong = new Set(failed.map((one) => one.id)).size;
  return { file: name, run: vectors.length, passed: vectors.length - wrong, failed };
}

const directory = process.argv[2];
const keys = load(directory, 'keys');
let isFine = true;
for (const name of FILES) {
  const result = await runFile(directory, name, keys);
  isFine &&= result.failed.length === 0;
  console.log(JSON.stringify(result));
}
process.exitCode = isFine ? 0 : 1;
