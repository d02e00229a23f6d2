// Operators of the machine: their hashed passwords, the rules for new ones, and signing on.

import { pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

const ROUNDS = 120_000;
const HISTORY = 4;
const TRIES = 5;
const LENGTHS = { ordinary: [4, 6], supervisor: [6, 6], maintenance: [8, 8] };
const FACTORY = new Set(['000000', '123456', '111111', '888888', '12345678', '00000000', '1234', '0000']);

const roleOf = (op) => ({ '00': 'supervisor', 99: 'maintenance' })[op] ?? 'ordinary';

export function hashOf(password, rounds = ROUNDS, salt = randomBytes(16).toString('base64url')) {
  const hash = pbkdf2Sync(password, salt, rounds, 32, 'sha256').toString('base64url');
  return { salt, rounds, hash };
}

export function isPassword(record, password) {
  const tried = hashOf(password, record.rounds, record.salt);
  return timingSafeEqual(Buffer.from(tried.hash), Buffer.from(record.hash));
}

export function newOperator(op, password, rounds) {
  const hashes = [hashOf(password, rounds)];
  return { role: roleOf(op), hashes, locked: false, tries: TRIES, changed_at: 0 };
}

/** Whether the machine takes this as the next password of that operator. */
export function isAcceptable(operators, op, password) {
  const own = operators[op];
  const [least, most] = LENGTHS[own.role];
  if (!/^[0-9]+$/.test(password) || password.length < least || password.length > most) return false;
  if (FACTORY.has(password)) return false;
  if (own.hashes.some((record) => isPassword(record, password))) return false;
  return !Object.keys(operators).some((other) => other !== op && isPassword(operators[other].hashes[0], password));
}

export function setPassword(operator, password, now, rounds) {
  operator.hashes = [hashOf(password, rounds), ...operator.hashes].slice(0, HISTORY);
  Object.assign(operator, { changed_at: now, tries: TRIES, must_change: false, fresh: null, choose: null });
}

export function giveBackTries(operator) {
  Object.assign(operator, { locked: false, tries: TRIES });
}

/** Try a password at the sign-on screen: `ok`, `refused` or `locked`. */
export function tryPassword(state, op, password) {
  const operator = state.operators[op];
  if (!operator) return 'refused';
  if (state.locked || operator.locked || operator.tries < 1) return 'locked';
  if (!isPassword(operator.hashes[0], password)) {
    operator.tries -= 1;
    return 'refused';
  }
  operator.tries = TRIES;
  return 'ok';
}

export function inventoryOf(state, now) {
  const operators = Object.entries(state.operators).map(([op, one]) => ({
    op,
    role: one.role,
    locked: one.locked || state.locked || one.tries < 1,
    tries_left: one.tries,
    ...(one.changed_at ? { age_days: Math.max(0, Math.floor((now - one.changed_at) / 86400)) } : {}),
  }));
  return { operators, fw: state.fw, unsettled_batch: state.unsettled_batch, tamper: false };
}
