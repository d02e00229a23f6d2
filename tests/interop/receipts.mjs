// Section 6: what is told about a token, and the outbox in which it waits.

import { createHash, randomBytes } from 'node:crypto';
import { signWithKid } from './jose.mjs';
import { encode } from './strict.mjs';

export const API = '/terminal/v1';
const AT_ONCE = 8;
const INVALID_TRIES = 3;
export const OUTBOX_LIMIT = 256;

export const newId = (prefix) => prefix + randomBytes(12).toString('base64url');
export const hashOfToken = (token) => encode(createHash('sha256').update(token).digest());

/** What a receipt says of its token; a token that could not be believed is known by its bytes alone. */
export function aboutToken(token, claims) {
  const known = claims ? { sub: claims.jti, cid: claims.cid, seq: claims.seq } : {};
  return { ...known, tok: hashOfToken(token) };
}

export async function makeReceipt(state, about, outcome, now) {
  const claims = {
    iss: state.tid,
    aud: state.origin + API,
    iat: now,
    jti: newId('rcp_'),
    ...about,
    ...outcome,
    at: now,
    hwm: state.hwm,
  };
  return { jws: await signWithKid(claims, state.sign, 'rekey-receipt+jwt'), claims, invalid: 0 };
}

/** Put a receipt last, or again last when the same bytes wait already. */
export function putOut(state, receipt) {
  state.outbox = state.outbox.filter((one) => one.jws !== receipt.jws);
  state.outbox.push(receipt);
}

export async function signAnew(state, receipt) {
  const claims = { ...receipt.claims, jti: newId('rcp_'), hwm: state.hwm };
  return { jws: await signWithKid(claims, state.sign, 'rekey-receipt+jwt'), claims, invalid: 0 };
}

export const nextReceipts = (state) => state.outbox.slice(0, AT_ONCE);

/** Drop what the answer says is settled; returns what was said of each. */
export function settle(state, sent, results) {
  const verdicts = sent.map((receipt, index) => [receipt, results[index]?.r ?? 'missing']);
  for (const [receipt, r] of verdicts) {
    const waiting = state.outbox.find((one) => one.jws === receipt.jws);
    if (!waiting || r === 'missing') continue;
    waiting.invalid += r === 'invalid' ? 1 : 0;
    const keep = r === 'invalid' && waiting.invalid < INVALID_TRIES;
    if (!keep) state.outbox = state.outbox.filter((one) => one !== waiting);
  }
  return verdicts.map(([receipt, r]) => ({ jti: receipt.claims.jti, st: receipt.claims.st, rc: receipt.claims.rc, r }));
}
