// A terminal at work: polling, pace, keysets, receipts, inventory.

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Broken, Refused, backOff, readAnswer } from './client.mjs';
import { receive } from './command.mjs';
import { walk } from './keyset.mjs';
import { inventoryOf } from './operators.mjs';
import { confirm } from './pairing.mjs';
import { OUTBOX_LIMIT, nextReceipts, settle } from './receipts.mjs';

const DAY_S = 86400;
const FAST_S = 3;
const SLOWEST_S = 3600;
const STANDARD = { interval: 60, jitter: 15, wait: 25, fast_until: 0 };
const BOUNDS = { interval: [3, 3600], jitter: [0, 3600], wait: [0, 55], fast_until: [0, Number.MAX_SAFE_INTEGER] };

export function readPace(header) {
  const pace = { ...STANDARD };
  for (const part of (header ?? '').split(',')) {
    const [, name, digits] = /^ *([a-z_]+)=([0-9]{1,15}) *$/.exec(part) ?? [];
    if (!(name in BOUNDS)) continue;
    const [least, most] = BOUNDS[name];
    pace[name] = Math.min(most, Math.max(least, Number(digits)));
  }
  return pace;
}

const withoutMoods = ({ battery, operators, ...rest }) => ({
  ...rest,
  operators: operators.map(({ age_days, ...one }) => one),
});

function hold(draft, keyset) {
  Object.assign(draft, { keyset, floor: Math.max(draft.floor, keyset.iat) });
}

export class Loop {
  constructor(client, store, log) {
    Object.assign(this, { client, store, log, etag: null, pace: { ...STANDARD }, failures: 0 });
  }

  get as() {
    return { tid: this.store.state.tid, sign: this.store.state.sign };
  }

  async walkKeysets() {
    await this.#walk(this.store.state, (keyset) => this.store.update((draft) => hold(draft, keyset)));
    await this.store.update((draft) => {
      draft.walked_at = this.client.now();
    });
  }

  /** While a token is judged: what was found is committed with what comes of the token. */
  async #walkWith(draft) {
    await this.#walk(draft, async (keyset) => hold(draft, keyset));
  }

  async #walk(state, keep) {
    const fetchKeyset = (ver) => this.#fetchKeyset(ver);
    const { keyset, stopped } = await walk(state.keyset, state.origin, fetchKeyset, keep);
    if (stopped) this.log({ event: 'keys refused', why: stopped, ver: keyset.ver });
    else this.log({ event: 'keyset', ver: keyset.ver });
  }

  async #fetchKeyset(ver) {
    try {
      const answer = await this.client.ask('GET', `/keysets/${ver}`, {});
      return answer.body.toString('latin1');
    } catch (error) {
      if (error instanceof Refused && error.status === 404 && error.code === 'not_found') return null;
      throw error;
    }
  }

  async #housekeeping() {
    if (this.store.state.pairing) await confirm(this.client, this.store);
    if (this.client.now() - this.store.state.walked_at >= DAY_S) await this.walkKeysets();
    await this.sendInventory();
  }

  async sendInventory() {
    const inventory = inventoryOf(this.store.state, this.client.now());
    const digest = createHash('sha256').update(JSON.stringify(withoutMoods(inventory))).digest('base64url');
    const { told } = this.store.state;
    if (told?.digest === digest && this.client.now() - told.at < DAY_S) return;
    const request = async () => ({
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ inventory }),
    });
    await this.client.ask('PUT', '/inventory', { as: this.as, request, good: [204] });
    await this.store.update((draft) => {
      draft.told = { digest, at: this.client.now() };
    });
    this.log({ event: 'inventory' });
  }

  async sendReceipts() {
    while (this.store.state.outbox.length) {
      const sent = nextReceipts(this.store.state);
      const body = { receipts: sent.map((one) => one.jws) };
      const { results } = await this.client.postJson('/receipts', this.as, body);
      const verdicts = await this.store.update((draft) => settle(draft, sent, results));
      for (const verdict of verdicts) this.log({ event: 'receipt', ...verdict });
      if (verdicts.some(({ r }) => r === 'invalid' || r === 'missing')) return;
    }
  }

  #telemetry() {
    const { fw, hwm, keyset, busy, unsettled_batch: batch } = this.store.state;
    return `pv=1, fw="${fw}", hwm=${hwm}, ks=${keyset.ver}, batch=?${Number(batch)}, idle=?${Number(!busy)}`;
  }

  async #poll(wait) {
    const headers = { 'rekey-telemetry': this.#telemetry() };
    if (this.etag) headers['if-none-match'] = this.etag;
    const request = async () => ({ headers, timeout: wait + 10 });
    const path = `/commands?wait=${wait}&max=4`;
    const answer = await this.client.ask('GET', path, { as: this.as, request, good: [200, 204, 304] });
    this.pace = readPace(answer.headers.get('rekey-poll'));
    if (answer.status === 204) this.etag = null;
    if (answer.status !== 200) return { status: answer.status, tokens: [], more: false };
    const { tokens, more } = readAnswer(answer);
    if (!Array.isArray(tokens) || typeof more !== 'boolean') throw new Broken('an answer without tokens');
    this.etag = answer.headers.get('etag');
    return { status: 200, tokens, more };
  }

  #environment() {
    return {
      now: this.client.now(),
      busy: this.store.state.busy,
      supported: this.store.state.cmds,
      walk: (draft) => this.#walkWith(draft),
    };
  }

  /** What was only in memory is gone; what was committed goes out first. */
  #restart() {
    this.client.forget();
    Object.assign(this, { etag: null, pace: { ...STANDARD }, failures: 0 });
    this.log({ event: 'restarted' });
  }

  async #carryOut(tokens) {
    const { boots } = this.store.state;
    for (const token of tokens) {
      const { st, rc, cmd, rid } = await receive(this.store, token, this.#environment());
      this.log({ event: 'token', st, rc, cmd, rid });
      if (this.store.state.boots > boots) return this.#restart();
      if (st === 'deferred') return;
    }
  }

  /** One question with everything around it; returns what the poll brought. */
  async round(wait) {
    await this.#housekeeping();
    if (this.store.state.outbox.length >= OUTBOX_LIMIT) {
      await this.sendReceipts();
      return { status: 0, tokens: [], more: false };
    }
    await this.sendReceipts();
    const answer = await this.#poll(wait);
    this.log({ event: 'poll', status: answer.status, tokens: answer.tokens.length });
    await this.#carryOut(answer.tokens);
    await this.sendReceipts();
    if (answer.tokens.length) await this.sendInventory();
    return answer;
  }

  #pauseAfter(answer) {
    if (answer.more) return 0;
    if (this.client.now() < this.pace.fast_until) return FAST_S;
    return this.pace.interval + Math.random() * this.pace.jitter;
  }

  #pauseAfterFailure(error) {
    if (!(error instanceof Refused || error instanceof Broken)) throw error;
    this.log({ event: 'failure', what: error.message });
    if (['quarantined', 'revoked'].includes(error.code)) return SLOWEST_S;
    const pause = backOff(this.failures, this.pace.interval);
    this.failures += 1;
    return error.retryAfter || pause;
  }

  async #roundThenPause(wait) {
    try {
      const answer = await this.round(wait);
      this.failures = 0;
      return this.#pauseAfter(answer);
    } catch (error) {
      return this.#pauseAfterFailure(error);
    }
  }

  /** Work for so many seconds, or until the process is ended. */
  async run(seconds = Infinity) {
    const end = Date.now() + seconds * 1000;
    while (Date.now() < end) {
      const left = (end - Date.now()) / 1000;
      const pause = await this.#roundThenPause(Math.floor(Math.min(this.pace.wait, left)));
      await sleep(1000 * Math.max(0, Math.min(pause, (end - Date.now()) / 1000)));
    }
  }

  /** Ask until nothing follows at once. */
  async once() {
    for (let answer = { more: true }; answer.more; ) answer = await this.round(0);
  }
}
