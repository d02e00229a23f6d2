// The two envelopes of the protocol: signed (JWS) and sealed (JWE), in exactly the one form allowed.

import { CompactSign, compactDecrypt, importJWK } from 'jose';
import { kidOf, publicOf, soundKey } from './keys.mjs';
import { Malformed, decode, encode, readObject } from './strict.mjs';

const SIGNATURE_BYTES = 64;

function hasExactly(object, names) {
  return Object.keys(object).sort().join() === [...names].sort().join();
}

/** Take a compact JWS apart; nothing in the payload has been looked at. */
export function readSigned(text, typ, limit) {
  if (typeof text !== 'string' || Buffer.byteLength(text) > limit) throw new Malformed('size');
  const parts = text.split('.');
  if (parts.length !== 3) throw new Malformed('parts');
  const [head, payload, signature] = parts.map(decode);
  const header = readObject(head);
  if (!hasExactly(header, ['alg', 'typ', 'kid'])) throw new Malformed('header');
  if (header.alg !== 'Ed25519' || header.typ !== typ || typeof header.kid !== 'string') throw new Malformed('header');
  // The vectors tell an empty signature (bad_signature) from one of another length (malformed).
  if (signature.length && signature.length !== SIGNATURE_BYTES) throw new Malformed('signature');
  return { header, payload, signature, signed: `${parts[0]}.${parts[1]}` };
}

async function sign(claims, key, header) {
  const payload = new TextEncoder().encode(JSON.stringify(claims));
  return new CompactSign(payload).setProtectedHeader(header).sign(await importJWK(key, 'Ed25519'));
}

export const signWithKid = async (claims, key, typ) =>
  sign(claims, key, { alg: 'Ed25519', typ, kid: await kidOf(key) });

export const signWithJwk = (claims, key, typ) => sign(claims, key, { alg: 'Ed25519', typ, jwk: publicOf(key) });

async function checkSealedForm(text, key, apv) {
  const parts = String(text).split('.');
  if (parts.length !== 5 || parts[1] !== '') throw new Malformed('parts');
  const [head, , iv, , tag] = parts.map(decode);
  const header = readObject(head);
  if (!hasExactly(header, ['alg', 'enc', 'kid', 'epk', 'apv'])) throw new Malformed('header');
  if (header.alg !== 'ECDH-ES' || header.enc !== 'A256GCM') throw new Malformed('algorithm');
  if (header.apv !== encode(Buffer.from(apv))) throw new Malformed('apv');
  if (header.kid !== (await kidOf(key))) throw new Malformed('kid');
  soundKey(header.epk, 'X25519');
  if (iv.length !== 12 || tag.length !== 16) throw new Malformed('lengths');
}

/** The plaintext as an object; throws for every reason alike. */
export async function openSealed(text, key, apv) {
  await checkSealedForm(text, key, apv);
  const allowed = { keyManagementAlgorithms: ['ECDH-ES'], contentEncryptionAlgorithms: ['A256GCM'] };
  const { plaintext } = await compactDecrypt(text, await importJWK(key, 'ECDH-ES'), allowed);
  return readObject(plaintext);
}
