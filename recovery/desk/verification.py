"""Verifying a caller: one ticket, one agent, one reset, ten minutes; here evidence is gathered, not judged.

Codes go to what is on file, and the caller types them on a page of ours: no agent ever sees or hears one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from portal import addresses, challenges, texting
from portal.alarms import raise_alarm
from portal.audit import Tag, record
from portal.models import AuditEvent, Channel, Merchant, User
from portal.secrets import keyed_digest
from recovery import flow, proving
from recovery.binding import digest_of, new_token
from recovery.desk import documents, standing
from recovery.gates.evidence import Stated
from recovery.gates.floors import CHANNEL, Method
from recovery.models import Recovery, Statement, Ticket, Verification
from recovery.sources import source_of
from recovery.ways import terminals_in_reach
from terminals import requests
from terminals.models import Operator, RecoveryRequest, Terminal

State = Verification.State
LIFE = timedelta(minutes=10)
# Who changed how a shop is reached starts no reset of it for as long as the change is held.
HANDS_OFF = timedelta(hours=72)
CHANGES = (Tag.MERCHANT_PHONE_CHANGED, Tag.ADDRESS_ASKED, Tag.ADDRESS_CHANGED)
# What honest work does not lead to: a case is opened for whoever looks after the desk.
MISUSE = frozenset({"own", "changed", "same_person", "edited", "limit"})
DOCUMENTS = {"licence": documents.is_licence, "identity": documents.is_identity}


class Refused(Exception):
    """The desk may not do this; `reason` is a stable key of `recovery.desk.refusals`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────


def refuse(ticket: Ticket, by: User, reason: str) -> Refused:
    """Put a refusal on record; the caller raises what it returns, outside its transaction."""
    if reason in MISUSE:
        raise_alarm(Tag.DESK_MISUSED, reason=reason, by=f"user:{by.pk}", ticket=ticket.number)
    record(
        Tag.VERIFICATION_REFUSED,
        actor=f"user:{by.pk}",
        merchant=ticket.merchant,
        subject=ticket.number,
        reason=reason,
    )
    return Refused(reason)


def stands_against(person: User, merchant: Merchant) -> str:
    """Why this person decides nothing about this shop: "own", "changed", or "" for no reason."""
    mine = {person.phone, person.email.casefold()} - {""}
    theirs = {merchant.phone, *(each.value.casefold() for each in addresses.alive(merchant))}
    for owner in User.objects.filter(merchant=merchant):
        theirs |= {owner.phone, owner.email.casefold()}
    if mine & theirs or person.merchant_id is not None:
        return "own"
    since = timezone.now() - HANDS_OFF
    touched = AuditEvent.objects.filter(merchant=merchant, actor=f"user:{person.pk}", at__gt=since)
    return "changed" if touched.filter(tag__in=[tag.value for tag in CHANGES]).exists() else ""


def is_agents(ticket: Ticket, agent: User) -> bool:
    """Whether the case is open and this agent's, as the row says now."""
    mine = Ticket.objects.filter(pk=ticket.pk, assignee=agent).exclude(state=Ticket.State.CLOSED)
    return agent.is_active and agent.is_staff and mine.exists()


def held(verification: Verification, agent: User) -> Verification:
    """The same verification, fresh, if it lives, is open, and is this agent's. Raises Refused."""
    recovery = Recovery.objects.select_related("merchant", "challenge").get(pk=verification.recovery_id)
    alive = standing.living(recovery)
    if alive is None or alive.state != State.OPEN or alive.agent_id != agent.pk:
        raise refuse(verification.ticket, agent, "over")
    alive.recovery = recovery
    return alive


# ── open ────────────────────────────────────────────────────────────────────────────────────────────────────


def start(ticket: Ticket, agent: User, terminal_number: str, operator: str, block: str = "") -> Verification:
    """Begin to verify whoever calls about this ticket, for one operator on one terminal. Raises Refused.

    One that was open for the ticket is over: evidence is for the reset it was gathered for.
    """
    ticket.refresh_from_db()
    if not is_agents(ticket, agent):
        raise refuse(ticket, agent, "ticket")
    terminal = _terminal(ticket, terminal_number)
    if terminal is None:
        raise refuse(ticket, agent, "terminal")
    if not Operator.objects.filter(terminal=terminal, number=operator).exists():
        raise refuse(ticket, agent, "operator")
    if against := stands_against(agent, terminal.store.merchant):
        raise refuse(ticket, agent, against)
    try:
        with transaction.atomic():
            return _create(ticket, agent, _recovery(terminal, operator, block))
    except IntegrityError:
        raise refuse(ticket, agent, "waiting") from None


def _terminal(ticket: Ticket, number: str) -> Terminal | None:
    """The terminal with this number that can be reached; of the ticket's shop, once that is known."""
    named = Terminal.objects.filter(number=number.strip().upper()).select_related("store__merchant").first()
    if named is None or ticket.merchant_id not in (None, named.store.merchant_id):
        return None
    return named if terminals_in_reach(named.store.merchant).filter(pk=named.pk).exists() else None


def _recovery(terminal: Terminal, operator: str, block: str) -> Recovery:
    merchant, now = terminal.store.merchant, timezone.now()
    recovery = Recovery(
        door=Recovery.Door.SUPPORT,
        state=Recovery.State.PROVING,
        # No browser is given the cookie.
        browser_digest=digest_of(new_token()),
        identifier=merchant.number,
        phone=merchant.phone,
        address_block=block,
        merchant=merchant,
        terminal=terminal,
        operator_number=operator,
        resolved_at=now,
        expires_at=now + LIFE,
    )
    recovery.challenge = challenges.open_challenge(flow.PURPOSE, f"recovery:{recovery.id}", merchant.phone)
    recovery.save(force_insert=True)
    return recovery


def _create(ticket: Ticket, agent: User, recovery: Recovery) -> Verification:
    now, before = timezone.now(), Verification.objects.filter(ticket=ticket)
    before.filter(state=State.OPEN).update(state=State.OVER)
    before.filter(state=State.ASKED, expires_at__lte=now).update(state=State.OVER)
    verification = Verification.objects.create(
        ticket=ticket, agent=agent, recovery=recovery, expires_at=now + LIFE
    )
    record(
        Tag.VERIFICATION_OPENED,
        actor=f"user:{agent.pk}",
        merchant=recovery.merchant,
        subject=ticket.number,
        terminal=recovery.terminal_id,
        operator=recovery.operator_number,
        recovery=recovery.id,
    )
    return verification


# ── codes ───────────────────────────────────────────────────────────────────────────────────────────────────


def send_code(verification: Verification, agent: User, channel: str = Channel.SMS) -> bool:
    """Send a code to the phone on record, by a text or a call; whether one is on its way. Raises Refused."""
    verification = held(verification, agent)
    recovery = verification.recovery
    ask = texting.Ask(
        recovery.challenge.to,
        recovery.address_block,
        recovery.merchant,
        source_of(recovery, recovery.merchant),
    )
    if texting.refusal(ask):
        return False
    with transaction.atomic():
        if not challenges.take_send(recovery.challenge_id, channel):
            return False
        recovery.challenge.refresh_from_db()
        challenges.queue_code(recovery.challenge, "desk-code", recovery.locale, known_source=True)
        # The worker owes it nothing: this slot is dealt with.
        Recovery.objects.filter(pk=recovery.pk).update(texts_settled=recovery.challenge.sends)
        _await(verification, Method(channel))
    return True


def write_to(verification: Verification, agent: User, method: Method, address_id: str) -> bool:
    """Send a code to an owner's mailbox or a recovery contact; whether one is on its way. Raises Refused."""
    verification = held(verification, agent)
    if not proving.write_to(verification.recovery, method, address_id):
        return False
    _await(verification, method)
    return True


def _await(verification: Verification, method: Method) -> None:
    Verification.objects.filter(pk=verification.pk).update(awaits=method)


def type_code(ticket_number: str, text: str) -> bool:
    """Judge what a caller typed for a ticket; whether it was the code that went out last.

    For a ticket that is not there, or has nobody on the phone, it is wrong like any other.
    """
    waiting = Verification.objects.filter(ticket__number=ticket_number, state=State.OPEN).exclude(awaits="")
    row = waiting.select_related("recovery__challenge", "recovery__merchant").first()
    if row is None or standing.living(row.recovery) is None:
        return challenges.check("", flow.PURPOSE, "", text).ok
    method = Method(row.awaits)
    if CHANNEL[method] != "phone":
        return proving.by_address(row.recovery, method, text).ok
    try:
        return flow.prove(row.recovery, text).outcome.ok
    except flow.OutOfStep:
        return False


# ── the terminal, and what the agent states ─────────────────────────────────────────────────────────────────


def at_terminal(verification: Verification, agent: User, user_code: str, number: str) -> bool:
    """Judge the code and the match number that the caller reads from the till's screen. Raises Refused.

    It has to be the very terminal and operator; a number that is wrong costs the screen one of three tries.
    """
    recovery = held(verification, agent).recovery
    assert recovery.merchant is not None
    request = _request(recovery, requests.digest_of(user_code))
    if request is None or not requests.match(request.pk, number).ok:
        return False
    Recovery.objects.filter(pk=recovery.pk).update(possession_at=timezone.now())
    proving.give(recovery, Method.POSSESSION, subject=request.terminal_id)
    return True


def _request(recovery: Recovery, digest: str) -> RecoveryRequest | None:
    """The screen's request, given to this recovery; None when it is not this terminal's and operator's."""
    assert recovery.merchant is not None
    mine = RecoveryRequest.objects.filter(
        user_code_digest=digest, terminal=recovery.terminal_id, operator_number=recovery.operator_number
    ).first()
    if mine is None or mine.pk == recovery.request_id:
        return mine
    if requests.bind(digest, recovery.merchant) is None:
        return None
    Recovery.objects.filter(pk=recovery.pk).update(request=mine)
    return mine


def show_number(verification: Verification, agent: User) -> str:
    """The registered phone, whole, to call it back; on record. Raises Refused."""
    verification = held(verification, agent)
    Verification.objects.filter(pk=verification.pk).update(number_shown_at=timezone.now())
    _record(Tag.PHONE_SHOWN, verification, phone="registered")
    return verification.recovery.phone


def state(verification: Verification, agent: User, what: Stated) -> bool:
    """The agent states that they called back, or see the person; whether it is news. Raises Refused."""
    verification = held(verification, agent)
    if what is Stated.CALL_BACK and verification.number_shown_at is None:
        raise Refused("number")
    return _state(verification, what)


def check_document(verification: Verification, agent: User, kind: str, typed: str) -> Statement:
    """Note a licence or an identity card, and whether it is what is on file. Raises Refused ("document").

    On file is what somebody else noted more than 72 hours before, for a reset that was done and that nobody
    disowned. What is kept is a keyed digest and the last four signs.
    """
    verification = held(verification, agent)
    number = documents.tidy(typed)
    if kind not in DOCUMENTS or not DOCUMENTS[kind](number):
        raise Refused("document")
    digest = keyed_digest("document", kind, number)
    filed = set(_on_file(verification).values_list("digest", flat=True))
    matches = digest in filed if filed else None
    _state(verification, Stated.DOCUMENT, last_four=number[-4:], digest=digest, matches=matches)
    return Statement.objects.get(verification=verification, what=Stated.DOCUMENT)


def _on_file(verification: Verification) -> Any:
    earlier = Statement.objects.filter(
        what=Stated.DOCUMENT,
        at__lt=timezone.now() - HANDS_OFF,
        verification__state=State.STARTED,
        verification__recovery__merchant=verification.recovery.merchant,
        verification__recovery__state=Recovery.State.DONE,
        verification__recovery__objections__isnull=True,
    )
    return earlier.exclude(verification__agent=verification.agent)


def _state(verification: Verification, what: Stated, **facts: Any) -> bool:
    _row, new = Statement.objects.get_or_create(verification=verification, what=what, defaults=facts)
    if new:
        _record(Tag.VERIFICATION_STATED, verification, what=what)
    return new


def _record(tag: Tag, verification: Verification, **facts: str) -> None:
    record(
        tag,
        actor=f"user:{verification.agent_id}",
        merchant=verification.recovery.merchant,
        subject=verification.ticket.number,
        **facts,
    )
