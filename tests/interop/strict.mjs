// Reading as section 1 of the protocol asks: what two readers could read differently is refused.

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const BASE64URL = /^[A-Za-z0-9_-]*$/;
const MAX_DEPTH = 4;
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

export class Malformed extends Error {}

export const encode = (bytes) => Buffer.from(bytes).toString('base64url');

export function decode(text) {
  if (typeof text !== 'string' || !BASE64URL.test(text)) throw new Malformed('base64url');
  const bytes = Buffer.from(text, 'base64url');
  // Node ignores unused last bits and a length that cannot be; writing it back shows both.
  if (bytes.toString('base64url') !== text) throw new Malformed('base64url');
  return bytes;
}

export function readObject(bytes) {
  let text;
  try {
    text = UTF8.decode(bytes);
  } catch {
    throw new Malformed('utf-8');
  }
  return new Reader(text).whole();
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  whole() {
    this.space();
    if (this.text[this.at] !== '{') this.fail('an object on top');
    const value = this.object(1);
    this.space();
    if (this.at !== this.text.length) this.fail('something after the end');
    return value;
  }

  fail(why) {
    throw new Malformed(`${why} at ${this.at}`);
  }

  space() {
    while (' \t\n\r'.includes(this.text[this.at] ?? 'x')) this.at += 1;
  }

  take(sign) {
    this.space();
    if (this.text[this.at] !== sign) this.fail(`expected ${sign}`);
    this.at += 1;
  }

  peek(sign) {
    this.space();
    if (this.text[this.at] !== sign) return false;
    this.at += 1;
    return true;
  }

  value(depth) {
    this.space();
    const sign = this.text[this.at];
    if (sign === '{') return this.object(depth);
    if (sign === '[') return this.array(depth);
    if (sign === '"') return this.string();
    if (this.word('true')) return true;
    if (this.word('false')) return false;
    if (this.word('null')) return null;
    return this.number();
  }

  word(word) {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  object(depth) {
    if (depth > MAX_DEPTH) this.fail('too deep');
    this.take('{');
    // Without a prototype a member called __proto__ is a member like any other.
    const members = Object.create(null);
    if (this.peek('}')) return members;
    do {
      this.space();
      const name = this.string();
      if (name in members) this.fail('a repeated member');
      this.take(':');
      members[name] = this.value(depth + 1);
    } while (this.peek(','));
    this.take('}');
    return members;
  }

  array(depth) {
    if (depth > MAX_DEPTH) this.fail('too deep');
    this.take('[');
    const items = [];
    if (this.peek(']')) return items;
    do items.push(this.value(depth + 1));
    while (this.peek(','));
    this.take(']');
    return items;
  }

  number() {
    const found = /^-?(0|[1-9][0-9]*)(?![0-9.eE])/.exec(this.text.slice(this.at, this.at + 40));
    if (!found || found[0] === '-0') this.fail('not a whole number');
    const value = Number(found[0]);
    if (!Number.isSafeInteger(value)) this.fail('too large a number');
    this.at += found[0].length;
    return value;
  }

  string() {
    if (this.text[this.at] !== '"') this.fail('expected a string');
    this.at += 1;
    let made = '';
    for (;;) {
      const sign = this.text[this.at];
      if (sign === undefined || sign < ' ') this.fail('a string that does not end');
      this.at += 1;
      if (sign === '"') break;
      made += sign === '\\' ? this.escape() : sign;
    }
    if (!made.isWellFormed()) this.fail('half a character');
    return made;
  }

  escape() {
    const sign = this.text[this.at];
    this.at += 1;
    if (sign !== 'u') return ESCAPES[sign] ?? this.fail('an unknown escape');
    const hex = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(hex)) this.fail('an unknown escape');
    this.at += 4;
    return String.fromCharCode(parseInt(hex, 16));
  }
}
