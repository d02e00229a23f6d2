"""The journey of one recovery, step by step, from the first page to a command.

`Recovery.state` is moved here and in the three rooms next door: `presence` (somebody stands at the terminal),
`unlocking` (there is no network) and `endings`. A step (`steps`) happens when the row still is where it
begins, is alive, and is about the very terminal and operator the caller saw; otherwise it has not happened.
What is posted never says whom a step is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from portal import challenges, changes, guessing, texting
from portal.audit import Tag, record
from portal.celery import nudge
from portal.models import Channel, Merchant, Passkey, User
from recovery.authority import NotAllowed, actor_of, authorise, note, terminals_of
from recovery.binding import digest_of, new_token
from recovery.doubts import of_mail, of_texts
from recovery.gates.floors import FULL, HALF, Method
from recovery.identity import mailbox_of, merchant_for
from recovery.models import Recovery
from recovery.proving import give
from recovery.sources import source_of
from recovery.steps import ATTENTION, CHOOSING, LIFE, PROOF_LIFE, PROVING, STATUS_LIFE, OutOfStep, step
from terminals import commands, requests
from terminals.models import Command, Terminal

State = Recovery.State
PURPOSE = "recovery"
# Why a password that was set did not come into force, where setting another one can help.
SET_AGAIN = frozenset(
    {"key_changed", "swapped", "policy_rejected", "open_failed", "inner_mismatch", "wrong_key", "expired"}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked for on the first page, already normalised."""

    identifier: str
    phone: str
    locale: str
    block: str
    email: str = ""
    user: User | None = None
    terminal: Terminal | None = None
    operator_number: str = ""
    user_code_digest: str = ""
    known_digest: str = ""
    offline: bool = False

    @property
    def to(self) -> str:
        """Where the first code goes."""
        return self.phone or self.email

    @property
    def door(self) -> str:
        """Where the journey begins."""
        if self.user is not None:
            return Recovery.Door.OWNER
        return Recovery.Door.TERMINAL if self.user_code_digest else Recovery.Door.BROWSER


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a typed code, and on success the browser's new cookie."""

    outcome: challenges.Outcome
    token: str | None = None


# ── identify ────────────────────────────────────────────────────────────────────────────────────────────────


def start(asked: Asked, token: str) -> Recovery:
    """Store what was asked and leave the rest to a worker; the same rows for everybody (design D8).

    The first text's slot is taken here, so that the cool-down runs from this moment whoever it was. A token
    that is known already returns the recovery it belongs to and sends nothing.
    """
    try:
        with transaction.atomic():
            return _create(asked, token)
    except IntegrityError:
        return Recovery.objects.get(browser_digest=digest_of(token))


def _create(asked: Asked, token: str) -> Recovery:
    recovery = _row_of(asked, token)
    channel = Channel.EMAIL if asked.email else Channel.SMS
    recovery.challenge = challenges.open_for(PURPOSE, asked.to, channel, subject=_subject(recovery))
    recovery.save(force_insert=True)
    challenges.take_send(recovery.challenge.id)
    note(Tag.RECOVERY_STARTED, recovery)
    transaction.on_commit(partial(nudge, "recovery.tasks.resolve", recovery.id))
    return recovery


def _row_of(asked: Asked, token: str) -> Recovery:
    return Recovery(
        browser_digest=digest_of(token),
        identifier=asked.identifier,
        phone=asked.phone,
        email=asked.email,
        locale=asked.locale,
        address_block=asked.block,
        signed_in_user=asked.user,
        terminal=asked.terminal,
        operator_number=asked.operator_number,
        user_code_digest=asked.user_code_digest,
        known_digest=asked.known_digest,
        door=asked.door,
        offline=asked.offline,
        expires_at=timezone.now() + LIFE,
    )


def start_proved(asked: Asked, passkey: Passkey, token: str) -> Recovery | None:
    """Begin with a passkey that was used just now, in place of a code; None when its shop may not reset."""
    merchant, now = passkey.user.merchant, timezone.now()
    if merchant is None or merchant.status != Merchant.Status.ACTIVE or not passkey.user.is_active:
        return None
    with transaction.atomic():
        recovery = _row_of(asked, token)
        recovery.merchant, recovery.identifier = merchant, merchant.number
        recovery.state, recovery.resolved_at, recovery.proved_at = State.PROVED, now, now
        # Nobody is sent a code: this one leads nowhere.
        recovery.challenge = challenges.open_for(PURPOSE, "", Channel.SMS, subject=_subject(recovery))
        recovery.save(force_insert=True)
        note(Tag.RECOVERY_STARTED, recovery)
        give(recovery, Method.PASSKEY, subject=f"user:{passkey.user_id}")
        changes.cancel_pending(merchant)
    return recovery


def resolve(recovery_id: str) -> bool:
    """Decide, in a worker, whom a new recovery is about, and send the first code; whether this call did.

    Strangers move on like everybody else: without a merchant, and without a text.
    """
    recovery = _with_people().filter(pk=recovery_id, state=State.STARTED).first()
    if recovery is None:
        return False
    merchant = merchant_for(recovery)
    mine = Recovery.objects.filter(pk=recovery_id)
    sends = recovery.challenge.sends
    # The limits are spent in the same transaction, so only the one call that moves the row spends them.
    with transaction.atomic():
        now = timezone.now()
        moved = mine.filter(state=State.STARTED).update(
            state=State.PROVING, resolved_at=now, texts_settled=sends
        )
        if moved == 1 and _text(recovery, merchant) and merchant is not None:
            mine.update(merchant=merchant)
            # Whoever is recovering keeps the phone they began with.
            changes.cancel_pending(merchant)
    return moved == 1


def resend(recovery: Recovery, channel: str = Channel.SMS) -> bool:
    """Take the next slot for the same code, by a text or a call, or by mail; a worker does the rest.

    Whether a slot was free.
    """
    if recovery.state not in PROVING:
        return False
    channel = "" if recovery.email and channel == Channel.SMS else channel
    with transaction.atomic():
        taken = challenges.take_send(recovery.challenge_id, channel)
        if taken:
            transaction.on_commit(partial(nudge, "recovery.tasks.resolve", recovery.id))
    return taken


def send_owed(recovery_id: str) -> bool:
    """Send the code again for a slot that was taken but not dealt with yet; whether this call did."""
    recovery = _with_people().filter(pk=recovery_id, state=State.PROVING).first()
    if recovery is None or recovery.texts_settled >= recovery.challenge.sends:
        return False
    with transaction.atomic():
        mine = Recovery.objects.filter(pk=recovery_id, texts_settled=recovery.texts_settled)
        won = mine.update(texts_settled=recovery.challenge.sends) == 1
        if won:
            _text(recovery, recovery.merchant)
    return won


def waiting_for_worker(now: datetime) -> list[str]:
    """Recoveries whose nudge may have been lost: not looked at yet, or owed a text, and still worth it."""
    young = Recovery.objects.filter(challenge__last_sent_at__gt=now - ATTENTION)
    new = young.filter(state=State.STARTED, created_at__lt=now - timedelta(seconds=2))
    owed = young.filter(state=State.PROVING, texts_settled__lt=F("challenge__sends"))
    return list((new | owed).values_list("pk", flat=True)[:200])


def _text(recovery: Recovery, merchant: Merchant | None) -> bool:
    """Queue the code if all limits on texts allow it; whether they did. A shop's refusal is put on record."""
    source = source_of(recovery, merchant)
    channel = recovery.challenge.channel if recovery.email else Channel.SMS
    ask = texting.Ask(recovery.challenge.to, recovery.address_block, merchant, source, channel=channel)
    against = guessing.PER_PHONE if guessing.is_worn(recovery.email) else texting.refusal(ask)
    if not against:
        challenges.queue_code(recovery.challenge, "code", recovery.locale, known_source=source != "")
    elif merchant is not None and against != "sms-per-address":
        record(Tag.RECOVERY_REFUSED, actor="worker", merchant=merchant, subject=recovery.id, limit=against)
    return not against


# ── prove ───────────────────────────────────────────────────────────────────────────────────────────────────


def prove(recovery: Recovery, text: str) -> Judged:
    """Judge a typed code. A stranger's attempt is spent, answered and timed like anybody's, and so is one
    after the shop's phone was changed.

    On success the browser gets a new cookie and the old one is worth nothing, so that a cookie planted
    before the proof proves nothing after it.
    """
    merchant = recovery.merchant
    same = merchant is not None and recovery.phone in ("", merchant.phone)
    known = recovery.state == State.PROVING and same
    outcome = challenges.check(recovery.challenge_id, PURPOSE, _subject(recovery), text, accept=known)
    if not outcome.ok:
        return Judged(outcome)
    token, now = new_token(), timezone.now()
    facts = {"state": State.PROVED, "browser_digest": digest_of(token), "proved_at": now}
    with transaction.atomic():
        facts |= _what_the_screen_says(recovery)
        step(recovery, State.PROVING, **facts, expires_at=now + LIFE)
        # What is doubted now stays half a proof, though another one ends the doubt a minute later.
        method = Method(recovery.challenge.channel)
        doubted = of_mail(recovery) if recovery.email else of_texts(recovery)
        subject = mailbox_of(recovery) if recovery.email else ""
        give(recovery, method, subject=subject, strength=HALF if doubted else FULL)
    return Judged(outcome, token)


def _what_the_screen_says(recovery: Recovery) -> dict[str, object]:
    """For a recovery started at a terminal: that terminal and operator, if its request is still there.

    Only the first browser that proves to be the shop's gets it; any other goes on and chooses by itself.
    """
    if not recovery.user_code_digest or recovery.merchant is None:
        return {}
    request = requests.bind(recovery.user_code_digest, recovery.merchant)
    if request is None:
        return {}
    return {
        "request": request,
        "terminal": request.terminal,
        "operator_number": request.operator_number,
    }


# ── choose ──────────────────────────────────────────────────────────────────────────────────────────────────


def choose_terminal(recovery: Recovery, terminal_id: str) -> None:
    """Say which terminal; a choice of operator made before is forgotten. Raises NotAllowed, OutOfStep.

    A recovery that was started at a terminal stays with that terminal.
    """
    if recovery.request_id is not None:
        raise OutOfStep
    terminal = terminals_of(recovery).filter(pk=terminal_id).first()
    if terminal is None:
        raise NotAllowed("terminal")
    step(recovery, *CHOOSING, state=State.PROVED, terminal=terminal, operator_number="")


def choose_operator(recovery: Recovery, number: str) -> None:
    """Say whose password. Raises NotAllowed when a gate is shut, without having moved, and OutOfStep."""
    if recovery.terminal_id is None:
        raise OutOfStep
    authorise(recovery, number)
    step(recovery, *CHOOSING, state=State.SETTING, operator_number=number)


def remembered(recovery: Recovery) -> None:
    """The list of operators was all that was needed: the journey ends here. Raises OutOfStep."""
    step(recovery, *CHOOSING, state=State.DONE, reason="remembered", finished_at=timezone.now())


# ── set ─────────────────────────────────────────────────────────────────────────────────────────────────────


def set_password(recovery: Recovery, password: str) -> Command:
    """Send the new password to the terminal, sealed on the way. Raises as `_dispatch` does."""
    return _dispatch(recovery, password)


def let_them_choose(recovery: Recovery) -> Command:
    """Let the operator choose at the terminal; no secret travels (design D5). Raises as `_dispatch` does."""
    return _dispatch(recovery, None)


def _dispatch(recovery: Recovery, password: str | None) -> Command:
    """One step and one command, or neither. Raises NotAllowed, OutOfStep, commands.CannotIssue."""
    terminal = authorise(recovery, recovery.operator_number)
    now = timezone.now()
    with transaction.atomic():
        step(recovery, State.SETTING, state=State.DISPATCHED, dispatched_at=now, expires_at=now + STATUS_LIFE)
        command = commands.issue(
            terminal,
            Command.Kind.SET_CREDENTIAL,
            operator_number=recovery.operator_number,
            sealed_password=password,
            choose=password is None,
            requested_by=actor_of(recovery),
            recovery_ref=recovery.request_id or recovery.id,
        )
        if recovery.request_id is not None:
            requests.finish(recovery.request_id, command)
        Recovery.objects.filter(pk=recovery.pk).update(command=command)
        record(
            Tag.RECOVERY_DISPATCHED, actor=actor_of(recovery), merchant=recovery.merchant, subject=recovery.id
        )
    return command


def withdraw(recovery: Recovery) -> bool:
    """Ask for the command back; whether that was still possible."""
    if recovery.state != State.DISPATCHED or recovery.command_id is None:
        return False
    return commands.cancel(recovery.command_id, actor_of(recovery))


def may_set_again(recovery: Recovery, now: datetime) -> bool:
    """Whether the proof is fresh enough to set another password after one that did not come into force."""
    fresh = recovery.proved_at is not None and recovery.proved_at > now - PROOF_LIFE
    return fresh and recovery.state == State.FAILED and recovery.reason in SET_AGAIN


def set_again(recovery: Recovery) -> None:
    """Go back to choosing a password with the same proof, for the unit that stands there now.

    Raises OutOfStep when the proof is too old, or another password would not help.
    """
    now, till = timezone.now(), recovery.terminal
    if not may_set_again(recovery, now):
        raise OutOfStep
    step(
        recovery,
        State.FAILED,
        state=State.SETTING,
        terminal=till.replaced_by or till if till else None,
        reason="",
        command=None,
        dispatched_at=None,
        finished_at=None,
        expires_at=now + PROOF_LIFE,
    )


# ── small parts ─────────────────────────────────────────────────────────────────────────────────────────────


def _with_people() -> QuerySet[Recovery]:
    return Recovery.objects.select_related("challenge", "merchant", "signed_in_user")


def _subject(recovery: Recovery) -> str:
    return f"recovery:{recovery.id}"
