#!/usr/bin/env node
// The terminal on a command line: every command prints one JSON object a line.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Broken, Client, Refused } from './client.mjs';
import { Loop } from './loop.mjs';
import { answerTo, ask, check } from './offline.mjs';
import { isAcceptable, setPassword, tryPassword } from './operators.mjs';
import { enroll, freshState, roll } from './pairing.mjs';
import { readCode, readQr } from './pairing-code.mjs';
import { hashOfToken, makeReceipt, putOut } from './receipts.mjs';
import { Memory, Store } from './state.mjs';
import { Malformed } from './strict.mjs';

const USAGE = `node terminal.mjs COMMAND --state DIR …
  enroll QR|CODE [--origin URL] [--serial TEXT] [--operator OP:PASSWORD …]   pair, or pair again
  run       [--seconds N | --once]                       work
  signon    --op OP --password TEXT [--new TEXT]         0 accepted, 1 refused
  choose    --op OP --new TEXT                           at an open choose screen
  roll      [--open]                                     change the signing key, and the opening key
  forgot    --op OP [--seconds N]                        begin a reset at this screen
  unlock    --op OP [--answer DIGITS --new TEXT]         a question, then its answer
  answer    --op OP                                      what would answer the open question (tests)
  set       busy|idle                                    whether a sale is running
Each takes --clock SECONDS: by how much the machine's own clock is wrong.`;

const OPTIONS = {
  state: { type: 'string' },
  serial: { type: 'string', default: 'NODE0001' },
  operator: { type: 'string', multiple: true, default: [] },
  seconds: { type: 'string' },
  once: { type: 'boolean', default: false },
  op: { type: 'string', default: '' },
  password: { type: 'string', default: '' },
  new: { type: 'string', default: '' },
  open: { type: 'boolean', default: false },
  answer: { type: 'string', default: '' },
  origin: { type: 'string', default: '' },
  clock: { type: 'string', default: '0' },
};
const CAN = ['set_credential', 'unlock', 'lock', 'message', 'reboot', 'void'];

const say = (facts) => console.log(JSON.stringify(facts));

const clientOf = (store, options, origin = store.state.origin) =>
  new Client(origin, new Memory(store.directory), Number(options.clock));

function machine(store, options) {
  const client = clientOf(store, options);
  return { client, loop: new Loop(client, store, say) };
}

/** A typed code pins no root: the first one seen is trusted, and shown. */
const readTyped = (code, origin) => (origin && readCode(code) ? { origin, code, root: '' } : null);

async function runEnroll(store, options, [text]) {
  const qr = readQr(text ?? '') ?? readTyped(text ?? '', options.origin);
  if (!qr) throw new Malformed('no pairing code');
  const operators = Object.fromEntries(options.operator.map((one) => one.split(':')));
  const hw = { vendor: 'Interop', model: 'RK-100', serial: options.serial };
  if (!store.state) store.commit(freshState(operators, hw, CAN));
  await enroll(clientOf(store, options, qr.origin), store, qr);
  const { tid, keyset } = store.state;
  say({ event: 'paired', tid, ver: keyset.ver, root: keyset.root });
}

async function runLoop(store, options) {
  const { loop } = machine(store, options);
  if (options.once) return loop.once();
  return loop.run(Number(options.seconds ?? Infinity));
}

/** What waits goes out when it can; the outbox keeps what cannot. */
async function sendNow(store, options) {
  try {
    await machine(store, options).loop.sendReceipts();
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Broken)) throw error;
    say({ event: 'failure', what: error.message });
  }
}

function change(draft, op, password, now) {
  if (!isAcceptable(draft.operators, op, password)) return false;
  setPassword(draft.operators[op], password, now);
  return true;
}

async function reportSignedOn(draft, operator, now) {
  if (!operator.fresh) return;
  putOut(draft, await makeReceipt(draft, operator.fresh, { st: 'signed_on' }, now));
  operator.fresh = null;
}

async function signOn(draft, { op, password, new: wanted }, now) {
  const result = tryPassword(draft, op, password);
  if (result !== 'ok') return result;
  const operator = draft.operators[op];
  await reportSignedOn(draft, operator, now);
  if (wanted) return change(draft, op, wanted, now) ? 'ok' : 'new_refused';
  return operator.must_change ? 'must_change' : 'ok';
}

async function runSignOn(store, options) {
  const now = clientOf(store, options).now();
  const result = await store.update((draft) => signOn(draft, options, now));
  say({ event: 'sign_on', op: options.op, result });
  process.exitCode = ['ok', 'must_change'].includes(result) ? 0 : 1;
  await sendNow(store, options);
}

function choose(draft, { op, new: wanted }, now) {
  const { choose: screen } = draft.operators[op] ?? {};
  if (!screen || now > screen.until || !change(draft, op, wanted, now)) return false;
  draft.operators[op].fresh = screen.about;
  return true;
}

async function runChoose(store, options) {
  const now = clientOf(store, options).now();
  const isSet = await store.update((draft) => choose(draft, options, now));
  say({ event: 'choose', op: options.op, result: isSet ? 'ok' : 'refused' });
  process.exitCode = isSet ? 0 : 1;
}

async function runRoll(store, options) {
  const { client, loop } = machine(store, options);
  const before = store.state.kid;
  await roll(client, store, { alsoOpen: options.open });
  say({ event: 'rolled', from: before, to: store.state.kid });
  await loop.sendReceipts();
}

async function watch(client, loop, rid, interval, end) {
  for (;;) {
    const answer = await client.ask('GET', `/recoveries/${rid}`, { as: loop.as });
    const { state } = JSON.parse(answer.body);
    say({ event: 'recovery', rid, state });
    if (state === 'done') await loop.once();
    if (state !== 'pending' || Date.now() + interval * 1000 > end) return;
    await sleep(interval * 1000);
  }
}

async function runForgot(store, options) {
  const { client, loop } = machine(store, options);
  const screen = await client.postJson('/recoveries', loop.as, { op: options.op }, [201]);
  say({ event: 'screen', ...screen });
  const seconds = Math.min(screen.expires_in, Number(options.seconds ?? screen.expires_in));
  await watch(client, loop, screen.rid, screen.interval, Date.now() + seconds * 1000);
}

async function answered(draft, { op, answer, new: wanted }, now) {
  const open = check(draft, op, answer, now);
  if (!open || !change(draft, op, wanted, now)) return false;
  const about = { sub: 'offline', oc: open.counter, tok: hashOfToken(open.question) };
  putOut(draft, await makeReceipt(draft, about, { st: 'applied' }, now));
  return true;
}

async function runUnlock(store, options) {
  const now = clientOf(store, options).now();
  if (!options.answer) {
    const open = await store.update((draft) => ask(draft, options.op, now));
    say({ event: 'question', op: options.op, question: open?.question ?? null });
    process.exitCode = open ? 0 : 1;
    return;
  }
  const isOpen = await store.update((draft) => answered(draft, options, now));
  say({ event: 'answer', op: options.op, result: isOpen ? 'ok' : 'refused' });
  process.exitCode = isOpen ? 0 : 1;
  await sendNow(store, options);
}

async function runAnswer(store) {
  say({ event: 'answer', answer: answerTo(store.state, store.state.unlock.open) });
}

async function runSet(store, options, [what]) {
  await store.update((draft) => {
    draft.busy = what === 'busy';
  });
}

const COMMANDS = {
  enroll: runEnroll, run: runLoop, signon: runSignOn, choose: runChoose, roll: runRoll,
  forgot: runForgot, unlock: runUnlock, answer: runAnswer, set: runSet,
};

async function main() {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const [command, ...rest] = positionals;
  const isUsable = command in COMMANDS && values.state;
  if (!isUsable) throw new Malformed(USAGE);
  const store = new Store(values.state);
  if (command !== 'enroll' && !store.state?.tid) throw new Malformed('not paired');
  await COMMANDS[command](store, values, rest);
}

main().catch((error) => {
  const isKnown = error instanceof Refused || error instanceof Broken || error instanceof Malformed;
  console.error(isKnown ? error.message : error.stack);
  process.exitCode = 2;
});
