// What somebody typed or scanned.

import { damm } from './offline.mjs';
import { decode } from './strict.mjs';

const LETTERS = /^[BCDFGHJKLMNPQRSTVWXZ]{9}$/;
const QR = /^REKEY1:(https?:\/\/[^\s|\/?#]+)\|([^|]+)\|([A-Za-z0-9_-]{43})$/;

export function readCode(typed) {
  const plain = typed.normalize('NFKC').toUpperCase().replace(/[\s\p{P}]/gu, '');
  if (LETTERS.test(plain)) return { selector: plain.slice(0, 3), secret: plain.slice(3) };
  if (!/^[0-9]{12}$/.test(plain) || damm(plain) !== 0) return null;
  return { selector: plain.slice(0, 3), secret: plain.slice(3, 11) };
}

export function readQr(text) {
  const found = QR.exec(text.trim());
  if (!found || !readCode(found[2])) return null;
  const [, origin, code, root] = found;
  try {
    return decode(root).length === 32 ? { origin, code, root } : null;
  } catch {
    return null;
  }
}
