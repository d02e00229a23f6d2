// Keys: whether a public one is sound, its thumbprint, and new pairs.

import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { Malformed, decode } from './strict.mjs';

const P = 2n ** 255n - 19n;
const D = mod(-121665n * power(121666n, P - 2n));
const SMALL_ORDER_Y = new Set([
  0n,
  1n,
  P - 1n,
  littleEndian(Buffer.from('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'hex')),
  littleEndian(Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex')),
]);
const LOW_ORDER_U = new Set([
  0n,
  1n,
  P - 1n,
  littleEndian(Buffer.from('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', 'hex')),
  littleEndian(Buffer.from('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157', 'hex')),
]);

function mod(value) {
  return ((value % P) + P) % P;
}

function power(base, exponent) {
  let result = 1n;
  for (let factor = mod(base), left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * factor);
    factor = mod(factor * factor);
  }
  return result;
}

function littleEndian(bytes) {
  return BigInt('0x' + Buffer.from(bytes).reverse().toString('hex'));
}

function isSquare(value) {
  return value === 0n || power(value, (P - 1n) / 2n) === 1n;
}

function isSoundEd25519(bytes) {
  const sign = bytes[31] >> 7;
  const y = littleEndian(bytes) & (2n ** 255n - 1n);
  if (y >= P || SMALL_ORDER_Y.has(y)) return false;
  const x2 = mod((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  return isSquare(x2) && !(x2 === 0n && sign);
}

function isSoundX25519(bytes) {
  const u = littleEndian(bytes);
  return u < P && !LOW_ORDER_U.has(u);
}

const SOUND = { Ed25519: isSoundEd25519, X25519: isSoundX25519 };

/** The key as nothing but kty, crv and x, or Malformed. */
export function soundKey(jwk, crv) {
  if (jwk === null || typeof jwk !== 'object' || Array.isArray(jwk)) throw new Malformed('key');
  if (Object.keys(jwk).sort().join() !== 'crv,kty,x') throw new Malformed('members of a key');
  if (jwk.kty !== 'OKP' || jwk.crv !== crv) throw new Malformed('kind of key');
  const bytes = decode(jwk.x);
  if (bytes.length !== 32 || !SOUND[crv](bytes)) throw new Malformed('point');
  return { kty: 'OKP', crv, x: jwk.x };
}

export const thumbprint = (jwk) => calculateJwkThumbprint({ kty: jwk.kty, crv: jwk.crv, x: jwk.x });

export const kidOf = async (jwk) => (await thumbprint(jwk)).slice(0, 16);

export const publicOf = ({ kty, crv, x }) => ({ kty, crv, x });

export function newKey(crv) {
  const { privateKey } = generateKeyPairSync(crv.toLowerCase());
  const { x, d } = privateKey.export({ format: 'jwk' });
  return { kty: 'OKP', crv, x, d };
}

export function isSignedBy(jwk, data, signature) {
  const key = createPublicKey({ key: publicOf(jwk), format: 'jwk' });
  return verify(null, Buffer.from(data), key, signature);
}
