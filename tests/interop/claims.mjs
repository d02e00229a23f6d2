// The form of a command's claims (checks 5 and 10): what it says, not yet whether it may.

import { Malformed } from './strict.mjs';

const WEEK_S = 7 * 86400;
const id = (prefix) => new RegExp(`^${prefix}_[A-Za-z0-9_-]{16}$`);
const TOKEN = id('tok');
const COMMAND = id('cmd');
const OPERATOR = /^[0-9]{2}$/;

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isWhole = (value, least = 0) => Number.isSafeInteger(value) && value >= least;
const isOpaque = (value) => typeof value === 'string' && value.length >= 1 && [...value].length <= 64;
const isPeople = (value) => Array.isArray(value) && value.every(isOpaque);

const FORMS = {
  jti: (value) => TOKEN.test(value ?? ''),
  cid: (value) => COMMAND.test(value ?? ''),
  seq: (value) => isWhole(value, 1),
  iat: (value) => isWhole(value),
  exp: (value) => isWhole(value),
  cmd: (value) => typeof value === 'string' && value.length > 0,
  by: isOpaque,
};

const OPTIONAL = {
  op: (value) => typeof value === 'string' && OPERATOR.test(value),
  args: isObject,
  apr: isPeople,
  rid: isOpaque,
  guard: isObject,
  sealed: (value) => typeof value === 'string',
  // Not among the claims of the document; the vectors give it RFC 7519's meaning.
  nbf: (value) => isWhole(value),
};

/** Check 5. */
export function checkForm(claims) {
  for (const [name, fits] of Object.entries(FORMS)) if (!fits(claims[name])) throw new Malformed(name);
  for (const [name, fits] of Object.entries(OPTIONAL)) {
    if (name in claims && !fits(claims[name])) throw new Malformed(name);
  }
  if (claims.exp <= claims.iat || claims.exp - claims.iat > WEEK_S) throw new Malformed('exp');
}

const isLine = (value) => typeof value === 'string' && /^[^\p{C}\p{Zl}\p{Zp}]{1,140}$/u.test(value);
const noArgs = (args) => Object.keys(args).length === 0;

const ARGUMENTS = {
  set_credential: (claims, args) =>
    'op' in claims && ('sealed' in claims ? !('choose' in args) : args.choose === true),
  unlock: (claims, args) => noArgs(args),
  lock: (claims, args) => noArgs(args),
  message: (claims, args) => isLine(args.text),
  reboot: (claims, args) => !('idle_max' in args) || (isWhole(args.idle_max) && args.idle_max <= 86400),
  void: (claims, args) => COMMAND.test(args.ref ?? ''),
  factory_reset: (claims, args) => args.scope === 'all',
};

export const KNOWN = Object.keys(ARGUMENTS);

const MAX_PASSWORD = 64;

/** Whether the plaintext of a sealed part has the form of section 5. */
export function isSecret({ cid, aud, op, password, change_at_next_login: change }) {
  const areTexts = [cid, aud, op, password].every((one) => typeof one === 'string');
  if (!areTexts || typeof change !== 'boolean' || !OPERATOR.test(op)) return false;
  return password.length >= 1 && [...password].length <= MAX_PASSWORD;
}

/** The first half of check 10. */
export function checkArguments(claims) {
  if (claims.cmd !== 'set_credential' && 'sealed' in claims) throw new Malformed('sealed');
  if (!ARGUMENTS[claims.cmd](claims, claims.args ?? {})) throw new Malformed('args');
}

export function hasGoodGuard(claims, now) {
  const { apr = [], guard, by, iat, exp } = claims;
  if (exp - iat > 3600 || apr.length < 1 || apr.includes(by) || !guard) return false;
  const members = Object.keys(guard).sort().join();
  if (members === 'waive') return guard.waive === 'stolen';
  if (members !== 'bk,bk_at' || !isOpaque(guard.bk) || !isWhole(guard.bk_at)) return false;
  return guard.bk_at <= now + 120 && guard.bk_at >= now - 86400 - 120;
}

