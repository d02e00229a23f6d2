// Section 2: pairing, pairing again, and changing keys.

import { setTimeout as sleep } from 'node:timers/promises';
import { Broken, Refused, backOff, isPassing, newJti, readAnswer } from './client.mjs';
import { openSealed, signWithJwk, signWithKid } from './jose.mjs';
import { kidOf, newKey, publicOf } from './keys.mjs';
import { firstKeyset } from './keyset.mjs';
import { newOperator } from './operators.mjs';
import { API, signAnew } from './receipts.mjs';

const LONGEST_S = 300;
const TRIES = 6;
const JOSE = { 'content-type': 'application/jose' };

/** The machine as it leaves the factory. */
export function freshState(operators, hw, cmds) {
  const made = {};
  for (const [op, password] of Object.entries(operators)) made[op] = newOperator(op, password);
  return {
    hw, cmds, fw: '1.0.0', tid: '', operators: made, hwm: 0, floor: 0, done: [], outbox: [], boots: 0,
    locked: false, busy: false, unsettled_batch: false, message: '', walked_at: 0, told: null, pairing: null, next: null,
    unlock: { counter: 0, asked: [], open: null },
  };
}

/** A technician waits at the machine: what passes is tried again, everything else is told. */
async function patiently(work) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || failures + 1 >= TRIES) throw error;
      await sleep(1000 * (error.retryAfter || backOff(failures, 0)));
    }
  }
}

async function enrollRequest(client, { code, sign, open, state }) {
  const iat = client.now();
  const claims = {
    aud: client.origin + API, iat, exp: iat + LONGEST_S, jti: newJti(), code, enc: publicOf(open),
    cap: { keypad: 'digits', cmds: state.cmds }, hw: state.hw, fw: state.fw,
  };
  return { headers: JOSE, body: await signWithJwk(claims, sign, 'rekey-enroll+jwt') };
}

/** Steps 1 to 4: what has to be kept until the confirmation. */
async function introduce(client, qr, state) {
  const sign = newKey('Ed25519');
  const open = newKey('X25519');
  const request = () => enrollRequest(client, { code: qr.code, sign, open, state });
  const post = () => client.ask('POST', '/enroll', { request, good: [201] });
  const answer = readAnswer(await patiently(post));
  const keyset = await firstKeyset(answer.keyset, client.origin, qr.root);
  const challenge = await openSealed(answer.challenge, open, answer.tid);
  const { nonce, offline_key } = challenge;
  return { origin: client.origin, tid: answer.tid, sign, open, kid: await kidOf(sign), keyset, nonce, offline_key };
}

/** From the confirmation on the new keys are the keys, and whatever belonged to the old ones is over. */
async function adopt(draft) {
  // Another process of this machine was faster.
  if (!draft.pairing) return;
  const { nonce, ...paired } = draft.pairing;
  const isSame = draft.tid === paired.tid;
  Object.assign(draft, paired, { hwm: 0, pairing: null, next: null, told: null, walked_at: 0 });
  draft.unlock = { counter: 0, asked: [], open: null };
  draft.outbox = isSame ? await Promise.all(draft.outbox.map((one) => signAnew(draft, one))) : [];
  if (!isSame) draft.done = [];
  draft.floor = Math.max(draft.floor, paired.keyset.iat);
}

export async function confirm(client, store) {
  const { pairing } = store.state;
  if (!pairing) return;
  const { tid, sign, nonce } = pairing;
  await client.postJson('/enroll/confirm', { tid, sign }, { nonce });
  await store.update(adopt);
}

export async function enroll(client, store, qr) {
  const pairing = await introduce(client, qr, store.state);
  await store.update((draft) => {
    draft.pairing = pairing;
  });
  await patiently(() => confirm(client, store));
}

async function rollRequest(client, state) {
  const { sign, open } = state.next;
  const iat = client.now();
  const aud = client.origin + API;
  const possession = { old: state.kid, enc: publicOf(open), aud, iat, jti: newJti() };
  const proof = await signWithJwk(possession, sign, 'rekey-pop+jwt');
  const claims = { iss: state.tid, aud, iat, exp: iat + LONGEST_S, jti: newJti(), proof };
  return { headers: JOSE, body: await signWithKid(claims, state.sign, 'rekey-keyroll+jwt') };
}

async function useNext(draft) {
  const { sign, open } = draft.next;
  Object.assign(draft, { sign, open, kid: await kidOf(sign), hwm: 0, next: null });
}

async function isInForce(client, state) {
  try {
    await client.ask('GET', '/commands?wait=0&max=1', { as: { tid: state.tid, sign: state.next.sign }, good: [200, 204] });
    return true;
  } catch (error) {
    if (error instanceof Refused && error.code === 'invalid_auth') return false;
    throw error;
  }
}

/** Change the signing key; safe to begin again after any interruption, for both keys are stored first. */
export async function roll(client, store, { alsoOpen = false } = {}) {
  if (!store.state.next) {
    const open = alsoOpen ? newKey('X25519') : store.state.open;
    await store.update((draft) => {
      draft.next = { sign: newKey('Ed25519'), open };
    });
  }
  const { tid, sign } = store.state;
  try {
    const request = () => rollRequest(client, store.state);
    await patiently(() => client.ask('POST', '/keys/roll', { as: { tid, sign }, request }));
  } catch (error) {
    // The first request under the new key may have ended the old one before we could write that down.
    if (!(error instanceof Refused) || error.code !== 'invalid_auth') throw error;
  }
  if (!(await isInForce(client, store.state))) throw new Broken('neither key is taken');
  await store.update(useNext);
}
