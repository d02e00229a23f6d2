// One pinned origin, bearers, the difference of clocks, and answers read strictly.

import { randomBytes } from 'node:crypto';
import { signWithKid } from './jose.mjs';
import { API } from './receipts.mjs';
import { readObject } from './strict.mjs';

const TIMEOUT_S = 15;
const BEARER_BACK_S = 60;
const BEARER_AHEAD_S = 480;
const BEARER_SPARE_S = 30;
const SLOWEST_SAMPLE_S = 10;
const LONGEST_BACK_OFF_S = 900;
const LONGEST_ANSWER = 64 * 1024;

export const newJti = () => randomBytes(12).toString('base64url');

/** The server said no in its own words. */
export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(`${status} ${problem.code ?? ''}`.trim());
    Object.assign(this, { status, code: problem.code ?? '', problem, retryAfter });
  }
}

/** No answer, or none of this protocol. */
export class Broken extends Error {}

const STALE = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'];
const PASSING = ['slow_down', 'unavailable', 'internal'];

/** Whether the same request may succeed later. */
export const isPassing = (error) =>
  error instanceof Broken || (error instanceof Refused && (error.status >= 500 || PASSING.includes(error.code)));

export function backOff(failures, interval) {
  const most = Math.max(interval, LONGEST_BACK_OFF_S);
  return Math.random() * Math.min(15 * 2 ** Math.min(failures, 16), most);
}

function readProblem(answer) {
  if (!(answer.headers.get('content-type') ?? '').startsWith('application/problem+json')) return {};
  try {
    return readObject(answer.body);
  } catch {
    return {};
  }
}

function secondsOf(header) {
  return /^[0-9]{1,6}$/.test(header ?? '') ? Number(header) : 0;
}

export class Client {
  /** `wrong` is by how many seconds the machine's clock is off, for tests. */
  constructor(origin, memory, wrong = 0) {
    Object.assign(this, { origin, memory, wrong, bearer: null });
  }

  /** The power failed. */
  forget() {
    this.memory.offset = 0;
    this.bearer = null;
  }

  #clock() {
    return Date.now() / 1000 + this.wrong;
  }

  now() {
    return Math.floor(this.#clock() + this.memory.offset);
  }

  async #bearerOf({ tid, sign }) {
    const held = this.bearer;
    if (held && held.x === sign.x && this.now() < held.exp - BEARER_SPARE_S) return held.text;
    const iat = this.now() - BEARER_BACK_S;
    const exp = this.now() + BEARER_AHEAD_S;
    const claims = { iss: tid, aud: this.origin + API, iat, exp, jti: newJti() };
    this.bearer = { x: sign.x, exp, text: await signWithKid(claims, sign, 'rekey-auth+jwt') };
    return this.bearer.text;
  }

  /** A kept connection may have ended without our noticing; every request here may be repeated. */
  async #send(method, path, made) {
    try {
      return await this.#sendOnce(method, path, made);
    } catch (error) {
      if (!STALE.includes(error.cause?.cause?.code)) throw error;
      return this.#sendOnce(method, path, made);
    }
  }

  async #sendOnce(method, path, { headers = {}, body, timeout = TIMEOUT_S }) {
    const began = this.#clock();
    try {
      const response = await fetch(this.origin + API + path, {
        method, headers, body, redirect: 'manual', signal: AbortSignal.timeout(timeout * 1000),
      });
      const bytes = Buffer.from(await response.arrayBuffer());
      if (bytes.length > LONGEST_ANSWER) throw new Broken('a longer answer than there can be');
      return { status: response.status, headers: response.headers, body: bytes, began, ended: this.#clock() };
    } catch (error) {
      throw new Broken(error.message, { cause: error });
    }
  }

  #learn(answer, problem) {
    if (problem.code !== 'clock_skew' || !Number.isSafeInteger(problem.server_time)) return false;
    if (answer.ended - answer.began > SLOWEST_SAMPLE_S || answer.headers.has('age')) return false;
    this.memory.offset = problem.server_time - (answer.began + answer.ended) / 2;
    this.bearer = null;
    return true;
  }

  /** `request` is a function, for after a learnt clock everything signed has to be signed again. */
  async ask(method, path, { as, request = async () => ({}), good = [200] }) {
    for (let isRetry = false; ; isRetry = true) {
      const made = await request();
      const headers = { ...made.headers };
      if (as) headers.authorization = `Bearer ${await this.#bearerOf(as)}`;
      const answer = await this.#send(method, path, { ...made, headers });
      if (good.includes(answer.status)) return answer;
      const problem = readProblem(answer);
      if (!isRetry && this.#mayRetry(answer, problem)) continue;
      if (answer.status < 400) throw new Broken(`status ${answer.status}`);
      throw new Refused(answer.status, problem, secondsOf(answer.headers.get('retry-after')));
    }
  }

  #mayRetry(answer, problem) {
    if (this.#learn(answer, problem)) return true;
    const isStale = problem.code === 'invalid_auth' && this.bearer !== null;
    this.bearer = null;
    return isStale;
  }

  async postJson(path, as, value, good = [200]) {
    const request = async () => ({
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(value),
    });
    return readAnswer(await this.ask('POST', path, { as, request, good }));
  }
}

export function readAnswer(answer) {
  try {
    return readObject(answer.body);
  } catch (error) {
    throw new Broken(error.message);
  }
}
