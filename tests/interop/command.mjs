// Section 5: judging a token in the document's order of checks, and carrying it out in one commit.

import { KNOWN, checkArguments, checkForm, hasGoodGuard, isSecret } from './claims.mjs';
import { openSealed, readSigned } from './jose.mjs';
import { isSignedBy } from './keys.mjs';
import { isOutOfWindow, isOutlived } from './keyset.mjs';
import { giveBackTries, isAcceptable, setPassword } from './operators.mjs';
import { aboutToken, makeReceipt, putOut } from './receipts.mjs';
import { Malformed, readObject } from './strict.mjs';

const LIMIT = 4096;
const SKEW_S = 120;
const SEQ_AHEAD = 2 ** 20;
const DONE_KEPT = 32;
const RETRY_S = 60;
const CHOOSE_S = 900;

class Refusal extends Error {
  constructor(rc, { claims = null, raises = false } = {}) {
    super(rc);
    Object.assign(this, { rc, claims, raises });
  }
}

const refuseIf = (bad, rc, facts) => {
  if (bad) throw new Refusal(rc, facts);
};

async function asRefusal(rc, facts, work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(rc, facts);
  }
}

async function findKey(kid, state, env) {
  const look = () => state.keyset.keys.find((key) => key.kid === kid);
  const isRevoked = () => state.keyset.revoked.includes(kid);
  refuseIf(isRevoked(), 'key_revoked');
  if (!look()) {
    await env.walk(state);
    refuseIf(isRevoked(), 'key_revoked');
  }
  refuseIf(!look(), 'unknown_key');
  return look();
}

/** Checks 1 to 6: claims that are verified, well formed and by a key that may say them. */
async function authenticate(token, state, env) {
  const read = async () => readSigned(token, 'rekey-cmd+jwt', LIMIT);
  const { header, payload, signature, signed } = await asRefusal('malformed', {}, read);
  if (isOutlived(state.keyset, env.now)) await env.walk(state);
  const key = await findKey(header.kid, state, env);
  refuseIf(!isSignedBy(key.jwk, signed, signature), 'bad_signature');
  const claims = await asRefusal('malformed', {}, async () => readObject(payload));
  await checkAddress(claims, state);
  await asRefusal('malformed', {}, async () => checkForm(claims));
  const now = Math.max(env.now, state.floor);
  refuseIf(isOutOfWindow(state.keyset, key, now), 'key_scope', { claims });
  // A command that nobody here has heard of is not a matter of scope: it ends as unsupported_cmd.
  refuseIf(KNOWN.includes(claims.cmd) && !key.cmds.includes(claims.cmd), 'key_scope', { claims });
  return claims;
}

function named(claims) {
  try {
    checkForm(claims);
    return { claims };
  } catch {
    return {};
  }
}

async function checkAddress(claims, state) {
  refuseIf(claims.iss !== state.origin, 'wrong_issuer', named(claims));
  refuseIf(claims.aud !== state.tid, 'wrong_audience', named(claims));
  refuseIf(claims.jkt !== state.kid, 'wrong_key', named(claims));
}

/** Checks 8 and 9. */
function checkTurn(claims, state, env) {
  const now = Math.max(env.now, state.floor);
  refuseIf(now > claims.exp + SKEW_S, 'expired', { claims, raises: true });
  refuseIf(Math.max(claims.iat, claims.nbf ?? 0) > now + SKEW_S, 'not_yet_valid', { claims, raises: true });
  refuseIf(claims.seq <= state.hwm, 'seq_replayed', { claims });
  refuseIf(claims.seq > state.hwm + SEQ_AHEAD, 'seq_gap', { claims });
}

/** Check 10. */
async function checkPossible(claims, state, env) {
  const facts = { claims, raises: true };
  refuseIf(!KNOWN.includes(claims.cmd) || !env.supported.includes(claims.cmd), 'unsupported_cmd', facts);
  await asRefusal('malformed', facts, async () => checkArguments(claims));
  if (claims.cmd === 'factory_reset') checkReset(claims, state, env, facts);
  else refuseIf('guard' in claims, 'guard_failed', facts);
  const isFlat = (env.battery ?? 100) <= 10 && !env.charging;
  refuseIf(['factory_reset', 'reboot'].includes(claims.cmd) && isFlat, 'low_battery', facts);
  refuseIf('op' in claims && !state.operators[claims.op], 'operator_unknown', facts);
}

function checkReset(claims, state, env, facts) {
  const now = Math.max(env.now, state.floor);
  refuseIf(!hasGoodGuard(claims, now), 'guard_failed', facts);
  refuseIf(state.unsettled_batch && !claims.guard.waive, 'unsettled_batch', facts);
}

export async function openSecretPart(sealed, key, cid) {
  const plain = await openSealed(sealed, key, cid);
  if (!isSecret(plain)) throw new Malformed('secret');
  return plain;
}

/** Checks 11 and 12: the secret part, or null when there is none. */
async function openSecret(claims, state) {
  if (claims.cmd !== 'set_credential' || !('sealed' in claims)) return null;
  const facts = { claims, raises: true };
  const open = () => openSecretPart(claims.sealed, state.open, claims.cid);
  const plain = await asRefusal('open_failed', facts, open);
  refuseIf(['cid', 'aud', 'op'].some((name) => plain[name] !== claims[name]), 'inner_mismatch', facts);
  refuseIf(!isAcceptable(state.operators, claims.op, plain.password), 'policy_rejected', facts);
  return plain;
}

const EFFECTS = {
  set_credential(draft, claims, env, { plain, about }) {
    const operator = draft.operators[claims.op];
    if (!plain) {
      operator.choose = { until: env.now + CHOOSE_S, about };
      return;
    }
    setPassword(operator, plain.password, env.now, env.rounds);
    Object.assign(operator, { must_change: plain.change_at_next_login, fresh: about });
  },
  unlock(draft, claims) {
    if (!claims.op) draft.locked = false;
    const whom = claims.op ? [claims.op] : Object.keys(draft.operators);
    for (const op of whom) giveBackTries(draft.operators[op]);
  },
  lock(draft, claims) {
    if (claims.op) draft.operators[claims.op].locked = true;
    else draft.locked = true;
  },
  message(draft, claims) {
    draft.message = claims.args.text;
  },
  reboot(draft) {
    draft.boots += 1;
  },
  void(draft, claims) {
    const done = draft.done.find((one) => one.cid === claims.args.ref && one.receipt.claims.st === 'applied');
    if (!done) return;
    putOut(draft, done.receipt);
    for (const operator of Object.values(draft.operators)) {
      if (operator.choose?.about.cid === claims.args.ref) operator.choose = null;
    }
  },
  factory_reset(draft) {
    draft.wipe_pending = true;
  },
};

async function record(draft, token, claims, outcome, env) {
  const receipt = await makeReceipt(draft, aboutToken(token, claims), outcome, env.now);
  putOut(draft, receipt);
  return receipt;
}

function remember(draft, claims, receipt) {
  const entry = { jti: claims.jti, cid: claims.cid, receipt };
  draft.done = [...draft.done, entry].slice(-DONE_KEPT);
}

/** Check 14: everything that a token changes, on a draft that is committed whole. */
async function carryOut(draft, token, claims, plain, env) {
  const isDone = draft.done.some((one) => one.cid === claims.cid && one.receipt.claims.st === 'applied');
  const about = aboutToken(token, claims);
  if (!isDone) EFFECTS[claims.cmd](draft, claims, env, { plain, about });
  draft.hwm = claims.seq;
  draft.floor = Math.max(draft.floor, claims.iat);
  const receipt = await record(draft, token, claims, { st: 'applied' }, env);
  remember(draft, claims, receipt);
  return { st: 'applied', cmd: claims.cmd, rid: claims.rid };
}

async function refuse(draft, token, refusal, env) {
  const { rc, claims, raises } = refusal;
  if (raises && claims.seq <= draft.hwm + SEQ_AHEAD) draft.hwm = Math.max(draft.hwm, claims.seq);
  const receipt = await record(draft, token, claims, { st: 'rejected', rc }, env);
  if (raises) remember(draft, claims, receipt);
  return { st: 'rejected', rc };
}

function repeat(draft, claims) {
  const done = draft.done.find((one) => one.jti === claims.jti);
  if (!done) return null;
  putOut(draft, done.receipt);
  return { st: 'repeated', receipt: done.receipt };
}

async function judge(draft, token, env) {
  const claims = await authenticate(token, draft, env);
  const repeated = repeat(draft, claims);
  if (repeated) return repeated;
  checkTurn(claims, draft, env);
  if (draft.done.some((one) => one.cid === claims.cid && one.receipt.claims.st === 'applied')) {
    return carryOut(draft, token, claims, null, env);
  }
  await checkPossible(claims, draft, env);
  const plain = await openSecret(claims, draft);
  if (env.busy && claims.cmd !== 'void') {
    await record(draft, token, claims, { st: 'deferred', rc: 'busy', retry: RETRY_S }, env);
    return { st: 'deferred', rc: 'busy' };
  }
  return carryOut(draft, token, claims, plain, env);
}

/** Judge one token and commit what comes of it; returns what its receipt says. */
export async function receive(store, token, env) {
  return store.update(async (draft) => {
    try {
      return await judge(draft, token, env);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return refuse(draft, token, error, env);
    }
  });
}
