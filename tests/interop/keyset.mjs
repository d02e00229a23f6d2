// Section 8: which keys may sign what, and the walk from one keyset to the next.

import { readSigned } from './jose.mjs';
import { isSignedBy, kidOf, soundKey, thumbprint } from './keys.mjs';
import { Malformed, readObject } from './strict.mjs';

const LIMIT = 8192;
const TYP = 'rekey-keyset+jwt';
const SKEW_S = 120;
const MAX_STEPS = 64;

export const isTime = (value) => Number.isSafeInteger(value) && value >= 0;
const isTexts = (value) => Array.isArray(value) && value.every((one) => typeof one === 'string');

async function signerAmong(roots, kid) {
  for (const root of roots) if ((await kidOf(root)) === kid) return root;
  throw new Malformed('signed by no root that is trusted');
}

async function readKey(entry) {
  const { jwk, cmds, nbf, exp } = entry ?? {};
  if (!isTexts(cmds) || !isTime(nbf) || !isTime(exp)) throw new Malformed('key of a keyset');
  return { kid: await kidOf(soundKey(jwk, 'Ed25519')), jwk: soundKey(jwk, 'Ed25519'), cmds, nbf, exp };
}

async function readClaims(claims) {
  const { iss, ver, iat, exp, keys, roots, revoked } = claims;
  if (!isTime(ver) || !isTime(iat) || !isTime(exp) || !isTexts(revoked)) throw new Malformed('keyset');
  if (!Array.isArray(roots) || roots.length < 1 || roots.length > 4) throw new Malformed('roots');
  if (!Array.isArray(keys) || keys.length > 16) throw new Malformed('keys');
  const sound = roots.map((root) => soundKey(root, 'Ed25519'));
  return { iss, ver, iat, exp, revoked, roots: sound, keys: await Promise.all(keys.map(readKey)) };
}

async function readSignedByOneOf(text, rootsFor, origin) {
  const { header, payload, signature, signed } = readSigned(text, TYP, LIMIT);
  const unverified = rootsFor ?? (readObject(payload).roots ?? []).map((root) => soundKey(root, 'Ed25519'));
  const root = await signerAmong(unverified, header.kid);
  if (!isSignedBy(root, signed, signature)) throw new Malformed('signature');
  const keyset = await readClaims(readObject(payload));
  await signerAmong(keyset.roots, header.kid);
  if (keyset.iss !== origin) throw new Malformed('another origin');
  return { keyset, root };
}

/** The first keyset, from the answer to an enrollment. `pin` is the thumbprint in the QR text, if there was one. */
export async function firstKeyset(text, origin, pin) {
  const { keyset, root } = await readSignedByOneOf(text, null, origin);
  if (pin && (await thumbprint(root)) !== pin) throw new Malformed('another root than the QR text names');
  return { ...keyset, root: await thumbprint(root) };
}

/** What a terminal holds after it was offered `text`: throws Malformed when it has to stop. */
export async function step(held, text, origin) {
  const { keyset } = await readSignedByOneOf(text, held.roots, origin);
  if (keyset.ver !== held.ver + 1) throw new Malformed('not the next version');
  return { ...keyset, revoked: [...new Set([...held.revoked, ...keyset.revoked])] };
}

/** Ask for the next keyset until there is none; `fetchKeyset(ver)` gives a text or null, `keep` stores each. */
export async function walk(held, origin, fetchKeyset, keep) {
  let present = held;
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const text = await fetchKeyset(present.ver + 1);
    if (text === null) return { keyset: present, stopped: '' };
    try {
      present = await step(present, text, origin);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return { keyset: present, stopped: error.message };
    }
    await keep(present);
  }
  return { keyset: present, stopped: '' };
}

export const isOutlived = (keyset, now) => now > keyset.exp + SKEW_S;

export const isOutOfWindow = (keyset, key, now) =>
  now < key.nbf - SKEW_S || now > key.exp + SKEW_S || isOutlived(keyset, now);
