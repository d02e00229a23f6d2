"""A reset that the desk starts: the operator chooses at the terminal, and 00 and 99 wait for a second person.

No call here takes a password. Who decides proved a second factor within ten minutes, has nothing to do with
the shop, and, as the second person, says yes to exactly the request they were shown.
"""

from __future__ import annotations

import json

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal import stepup
from portal.audit import Tag, record
from portal.codes import equal
from portal.limits import take
from portal.models import Merchant, User
from portal.notices import tell_shop
from portal.secrets import keyed_digest
from recovery.authority import NotAllowed, authorise, decide
from recovery.desk import partners
from recovery.desk.verification import (
    LIFE,
    Refused,
    State,
    held,
    is_agents,
    refuse,
    stands_against,
)
from recovery.gates.decide import Verdict
from recovery.models import Recovery, Ticket, Verification
from recovery.steps import STATUS_LIFE
from terminals import commands, requests
from terminals.models import Command, Terminal

APPROVE = "recovery.approve_verification"
PER_AGENT = "resets-per-agent"


# ── the first person ────────────────────────────────────────────────────────────────────────────────────────


def start(verification: Verification, agent: User, proved_at: int) -> Command:
    """Have the operator choose a new password at the terminal, or ask a second person first. Raises Refused.

    `proved_at` is when the agent last gave a second factor, in Unix seconds. Everybody on file is told.
    """
    ticket = verification.ticket
    if not is_agents(ticket, agent):
        raise refuse(ticket, agent, "ticket")
    verification = held(verification, agent)
    recovery = verification.recovery
    assert recovery.merchant is not None
    against = stands_against(agent, recovery.merchant) or ("" if stepup.is_fresh(proved_at) else "stale")
    decision = decide(recovery, recovery.operator_number)
    waits = decision.verdict is Verdict.APPROVAL
    if not against and not (decision.allowed or waits):
        against = decision.reason
    if not against and not take(PER_AGENT, str(agent.pk)).ok:
        against = "limit"
    if against:
        raise refuse(ticket, agent, against)
    try:
        with transaction.atomic():
            return _start(verification, waits=waits)
    except (NotAllowed, commands.CannotIssue, Refused) as refusal:
        raise refuse(ticket, agent, refusal.reason) from None


def _start(verification: Verification, *, waits: bool) -> Command:
    recovery, by, now = verification.recovery, f"user:{verification.agent_id}", timezone.now()
    terminal = authorise(recovery, recovery.operator_number, waits=waits)
    until = now + LIFE
    command = commands.issue(
        terminal,
        Command.Kind.SET_CREDENTIAL,
        operator_number=recovery.operator_number,
        choose=True,
        requested_by=by,
        recovery_ref=recovery.request_id or recovery.id,
        approve_until=until if waits else None,
    )
    _dispatch(recovery, command)
    digest = digest_of(verification, command)
    to = {"state": State.ASKED, "expires_at": until} if waits else {"state": State.STARTED}
    mine = Verification.objects.filter(pk=verification.pk, state=State.OPEN, expires_at__gt=now)
    if mine.update(**to, request_digest=digest) != 1:
        raise Refused("over")
    if recovery.request_id is not None:
        requests.finish(recovery.request_id, command)
    Ticket.objects.filter(pk=verification.ticket_id, merchant=None).update(merchant=recovery.merchant)
    tag = Tag.VERIFICATION_ASKED if waits else Tag.RECOVERY_DISPATCHED
    subject = verification.ticket.number if waits else recovery.id
    record(tag, actor=by, merchant=recovery.merchant, subject=subject, operator=recovery.operator_number)
    _tell(recovery, terminal)
    return command


def _dispatch(recovery: Recovery, command: Command) -> None:
    now = timezone.now()
    Recovery.objects.filter(pk=recovery.pk).update(
        state=Recovery.State.DISPATCHED,
        command=command,
        proved_at=now,
        dispatched_at=now,
        expires_at=now + STATUS_LIFE,
    )


def _tell(recovery: Recovery, terminal: Terminal) -> None:
    """Everybody on file, recovery contacts too: which operator on which terminal, and how to stop it."""
    assert recovery.merchant is not None
    facts = {
        "operator": recovery.operator_number,
        "terminal": terminal.number,
        "number": recovery.number,
        "hotline": settings.REKEY_HOTLINE,
    }
    tell_shop(recovery.merchant, "desk-reset", facts, contacts=True)


# ── the second person ───────────────────────────────────────────────────────────────────────────────────────


def digest_of(verification: Verification, command: Command) -> str:
    """Keyed digest of everything the request is: who asks, what, for whom, and why it may."""
    what = {
        "verification": verification.pk,
        "ticket": verification.ticket_id,
        "agent": verification.agent_id,
        "recovery": verification.recovery_id,
        "command": [command.pk, command.kind, command.terminal_id, command.operator_number],
        "args": command.args,
        "guard": command.guard,
        "sealed": command.sealed,
        "by": command.requested_by,
        "until": int(command.expires_at.timestamp()),
        "proofs": sorted(verification.recovery.proofs.values_list("method", "subject", "strength")),
        "stated": sorted(verification.statements.values_list("what", "digest", "by")),
    }
    return keyed_digest("assisted-reset", json.dumps(what, sort_keys=True))


def approve(verification: Verification, person: User, proved_at: int, shown: str) -> Command:
    """Let the request go that this person was shown; `shown` is its digest. Raises Refused.

    The gates are asked once more, with this yes.
    """
    verification = _judged(verification, person, proved_at)
    try:
        with transaction.atomic():
            return _approve(verification, person, shown)
    except (NotAllowed, commands.CannotApprove, Refused) as refusal:
        raise refuse(verification.ticket, person, refusal.reason) from None


def _approve(verification: Verification, person: User, shown: str) -> Command:
    now, recovery = timezone.now(), verification.recovery
    waiting = Verification.objects.filter(pk=verification.pk, decided_by=None, state=State.ASKED)
    if waiting.filter(expires_at__gt=now).update(decided_by=person, decided_at=now) != 1:
        raise Refused("over")
    command = Command.objects.get(pk=recovery.command_id)
    digest = digest_of(verification, command)
    if not (equal(digest, shown) and equal(digest, verification.request_digest)):
        raise Refused("edited")
    authorise(recovery, recovery.operator_number)
    commands.approve(command.pk, f"user:{person.pk}")
    Verification.objects.filter(pk=verification.pk).update(state=State.STARTED)
    record(
        Tag.RECOVERY_DISPATCHED,
        actor=f"user:{person.pk}",
        merchant=recovery.merchant,
        subject=recovery.id,
        operator=recovery.operator_number,
    )
    return command


def deny(verification: Verification, person: User, proved_at: int) -> None:
    """Say no: the request is over and its command withdrawn. Raises Refused."""
    verification = _judged(verification, person, proved_at)
    waiting = Verification.objects.filter(pk=verification.pk, state=State.ASKED)
    if waiting.update(state=State.REFUSED, decided_by=person, decided_at=timezone.now()) != 1:
        raise refuse(verification.ticket, person, "over")
    by, recovery = f"user:{person.pk}", verification.recovery
    commands.cancel(recovery.command_id or "", by)
    record(Tag.VERIFICATION_DENIED, actor=by, merchant=recovery.merchant, subject=verification.ticket.number)


def _judged(verification: Verification, person: User, proved_at: int) -> Verification:
    """The request, fresh, if this person may decide about it. Raises Refused."""
    people = "recovery__merchant", "ticket", "agent"
    verification = Verification.objects.select_related(*people).get(pk=verification.pk)
    merchant, ticket = verification.recovery.merchant, verification.ticket
    assert merchant is not None
    if is_same(person, verification.agent) or ticket.assignee_id == person.pk:
        raise refuse(ticket, person, "same_person")
    if not may_decide(person, merchant):
        raise refuse(ticket, person, "may_not")
    if verification.statements.filter(by=person).exists():
        raise refuse(ticket, person, "attested")
    if against := stands_against(person, merchant):
        raise refuse(ticket, person, against)
    if not stepup.is_fresh(proved_at):
        raise refuse(ticket, person, "stale")
    return verification


def may_decide(person: User, merchant: Merchant) -> bool:
    """Whether this person may be the second about this shop: with the right, or as its acquirer's partner."""
    if person.is_staff:
        return person.is_active and person.has_perm(APPROVE)
    return partners.reaches(person, merchant) and person.has_perm(partners.COSIGN)


def is_same(one: User, other: User) -> bool:
    """Whether two accounts are one person's, as far as rows tell: one account, one phone or one mailbox."""
    same_phone = one.phone != "" and one.phone == other.phone
    same_mailbox = one.email != "" and one.email.casefold() == other.email.casefold()
    return one.pk == other.pk or same_phone or same_mailbox
