// Section 10: questions and answers of an unlock without a network.

import { createHash, createHmac, randomInt, timingSafeEqual } from 'node:crypto';

export const SUITE = 'OCRA-1:HOTP-SHA256-8:C-QA10-S064';
const DAMM = [
  '0317598642', '7092154863', '4206871359', '1750983426', '6123045978',
  '3674209581', '5869720134', '8945362017', '9438617205', '2581436790',
];

export const damm = (digits) => [...digits].reduce((row, digit) => Number(DAMM[row][digit]), 0);

export const sessionOf = (tid, op) => createHash('sha256').update(`rekey-ocra/1|${tid}|pwd|${op}`).digest('hex');

function truncated(mac, digits) {
  const at = mac[mac.length - 1] & 15;
  const number = (mac.readUInt32BE(at) & 0x7fffffff) % 10 ** digits;
  return String(number).padStart(digits, '0');
}

function eightBytes(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}

function questionBytes(format, question) {
  const bytes = Buffer.alloc(128);
  if (format === 'A') return (bytes.write(question, 'ascii'), bytes);
  const hex = BigInt(question).toString(16);
  return (bytes.write(hex.padEnd(256, '0'), 'hex'), bytes);
}

/** Any suite of RFC 6287; a terminal needs one of them, the tables of the RFC need the others. */
export function ocra(suite, { key, question, counter, pin, session, timestep }) {
  const [, hash, digits] = /^OCRA-1:HOTP-(SHA\d+)-(\d+):/.exec(suite);
  const inputs = suite.split(':')[2].split('-');
  const parts = inputs.map((input) => {
    if (input === 'C') return eightBytes(counter);
    if (input[0] === 'Q') return questionBytes(input[1], question);
    if (input[0] === 'P') return createHash(input.slice(1)).update(pin).digest();
    return input[0] === 'S' ? Buffer.from(session, 'ascii') : eightBytes(timestep);
  });
  const message = Buffer.concat([Buffer.from(suite), Buffer.from([0]), ...parts]);
  return truncated(createHmac(hash, key).update(message).digest(), Number(digits));
}

export const answerTo = (state, { counter, question, op }) =>
  ocra(SUITE, {
    key: Buffer.from(state.offline_key, 'base64url'),
    counter,
    question,
    session: sessionOf(state.tid, op),
  });

const DAY_S = 86400;
const OPEN_S = 600;
const A_DAY = 5;
const TRIES = 3;

/** Raise the counter and put the question beside it; the caller commits before it shows anything. */
export function ask(state, op, now) {
  const unlock = state.unlock;
  unlock.asked = unlock.asked.filter((at) => at > now - DAY_S);
  if (unlock.asked.length >= A_DAY) return null;
  unlock.counter += 1;
  unlock.asked.push(now);
  const nine = String(unlock.counter % 100).padStart(2, '0') + String(randomInt(10 ** 7)).padStart(7, '0');
  unlock.open = { op, counter: unlock.counter, question: nine + damm(nine), until: now + OPEN_S, tries: TRIES };
  return unlock.open;
}

/** The question that was answered rightly, or null; every try is counted. */
export function check(state, op, answer, now) {
  const open = state.unlock.open;
  if (!open || open.op !== op || open.tries < 1 || now > open.until) return null;
  open.tries -= 1;
  const right = Buffer.from(answerTo(state, open));
  const given = Buffer.from(answer.replace(/[^0-9]/g, ''));
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null;
  state.unlock.open = null;
  return open;
}
