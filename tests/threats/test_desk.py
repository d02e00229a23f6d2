"""People at the desk who mean no good: their own yes (T42), and a corrupt agent's moves (T43)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from portal.audit import Tag, record
from portal.models import AuditEvent, Merchant, User
from recovery.desk import assisted, tickets, verification
from recovery.desk.verification import Refused
from recovery.gates.evidence import Stated
from recovery.models import Proof, Recovery, Statement, Ticket, Verification
from terminals import commands, requests
from terminals.models import Command, Terminal
from tests.cast import PairedTill, make_terminal, pair_on_paper
from tests.portal.parallel import in_parallel
from tests.recovery.desk import Caller, Desk, make_person, make_ticket, now, shown_to
from tests.recovery.visitor import make_shop


@pytest.fixture(autouse=True)
def wide_shield(settings: Any) -> None:
    settings.REKEY_LIMITS = {"caller": "1000/hour"}


@pytest.fixture
def till(db: None) -> PairedTill:
    return make_shop()


@pytest.fixture
def desk(till: PairedTill) -> Desk:
    return Desk(make_person("agent"))


@pytest.fixture
def second(till: PairedTill) -> User:
    return make_person("second")


def verified(desk: Desk, till: PairedTill, operator: str = "03") -> Verification:
    """A case of the shop with a caller who is who they say."""
    ticket = make_ticket(till.terminal.store.merchant, desk.person)
    row = desk.begin(ticket, till.terminal, operator)
    desk.do(row, "text")
    Caller().type_texted(row)
    if operator in {"00", "99"}:
        desk.read_screen(row, requests.open_request(till.terminal, operator))
    return row


@pytest.fixture
def asked(desk: Desk, till: PairedTill) -> Verification:
    """A request about the supervisor that waits for a second person."""
    row = verified(desk, till, "00")
    assisted.start(row, desk.person, now())
    row.refresh_from_db()
    return row


def digest(row: Verification) -> str:
    """What the page shows the second person now."""
    row = Verification.objects.get(pk=row.pk)
    return assisted.digest_of(row, Command.objects.get(pk=row.recovery.command_id or ""))


def sent() -> int:
    """Commands that a terminal may be given."""
    return Command.objects.exclude(state__in=["pending_approval", "cancelled", "expired"]).count()


def alarms() -> int:
    return AuditEvent.objects.filter(tag__in=[Tag.VERIFICATION_REFUSED, Tag.DESK_MISUSED]).count()


# ── T42: one person, two eyes ───────────────────────────────────────────────────────────────────────────────


def oneself(row: Verification, second: User) -> None:
    assisted.approve(row, row.agent, now(), digest(row))


def same_phone(row: Verification, second: User) -> None:
    User.objects.filter(pk=second.pk).update(phone=row.agent.phone)
    assisted.approve(row, User.objects.get(pk=second.pk), now(), digest(row))


def same_mailbox(row: Verification, second: User) -> None:
    User.objects.filter(pk=row.agent_id).update(email="li@example.com")
    second.email = "LI@example.com"
    assisted.approve(row, second, now(), digest(row))


def edited_requester(row: Verification, second: User) -> None:
    third, shown = make_person("third"), digest(row)
    Verification.objects.update(agent=third)
    Ticket.objects.update(assignee=third)
    assisted.approve(row, row.agent, now(), shown)


def edited_command(row: Verification, second: User) -> None:
    shown = digest(row)
    Command.objects.update(operator_number="99")
    assisted.approve(row, second, now(), shown)


def edited_before_it_was_shown(row: Verification, second: User) -> None:
    Command.objects.update(args={})
    assisted.approve(row, second, now(), digest(row))


def evidence_added_later(row: Verification, second: User) -> None:
    shown = digest(row)
    Statement.objects.create(verification=row, what=Stated.IN_PERSON)
    assisted.approve(row, second, now(), shown)


def another_request(row: Verification, second: User) -> None:
    assisted.approve(row, second, now(), "0" * 64)


def too_late(row: Verification, second: User) -> None:
    Verification.objects.update(expires_at=timezone.now())
    assisted.approve(row, second, now(), digest(row))


def stale_second_factor(row: Verification, second: User) -> None:
    assisted.approve(row, second, now() - 601, digest(row))


def own_case(row: Verification, second: User) -> None:
    Ticket.objects.update(assignee=second)
    assisted.approve(row, second, now(), digest(row))


def without_the_right(row: Verification, second: User) -> None:
    second.groups.clear()
    assisted.approve(row, User.objects.get(pk=second.pk), now(), digest(row))


def own_shop(row: Verification, second: User) -> None:
    merchant = row.recovery.merchant
    assert merchant is not None
    second.phone = merchant.phone
    assisted.approve(row, second, now(), digest(row))


def frozen_since(row: Verification, second: User) -> None:
    Merchant.objects.update(frozen_until=timezone.now() + timedelta(minutes=1))
    assisted.approve(row, second, now(), digest(row))


def terminal_stopped_since(row: Verification, second: User) -> None:
    Terminal.objects.update(state=Terminal.State.QUARANTINED)
    assisted.approve(row, second, now(), digest(row))


BYPASSES = (
    oneself,
    same_phone,
    same_mailbox,
    edited_requester,
    edited_command,
    edited_before_it_was_shown,
    evidence_added_later,
    another_request,
    too_late,
    stale_second_factor,
    own_case,
    without_the_right,
    own_shop,
    frozen_since,
    terminal_stopped_since,
)


@pytest.mark.parametrize("bypass", BYPASSES)
def test_T42_no_bypass_of_the_second_person_executes_anything(
    bypass: Callable[[Verification, User], None], asked: Verification, second: User
) -> None:
    before = alarms()
    with pytest.raises(Refused):
        bypass(asked, second)
    assert (sent(), alarms() > before) == (0, True)


def test_T42_the_database_itself_refuses_who_approves_their_own(asked: Verification) -> None:
    by = f"user:{asked.agent_id}"
    for statement, values in (
        ("UPDATE terminals_command SET approved_by = %s, state = 'queued'", [by]),
        ("UPDATE recovery_verification SET decided_by_id = %s", [asked.agent_id]),
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, values)
    assert sent() == 0


def test_T42_the_verb_below_lets_nobody_approve_their_own(asked: Verification) -> None:
    command_id = asked.recovery.command_id or ""
    with pytest.raises(commands.CannotApprove):
        commands.approve(command_id, f"user:{asked.agent_id}")
    assert sent() == 0


def test_T42_a_yes_counts_once(asked: Verification, second: User) -> None:
    shown = shown_to(Desk(second), asked)
    assisted.approve(asked, second, now(), shown)
    with pytest.raises(Refused, match="over"):
        assisted.approve(asked, second, now(), shown)
    assert sent() == 1


@pytest.mark.django_db(transaction=True)
def test_T42_of_many_approvals_at_once_one_executes(settings: Any) -> None:
    till, second = make_shop(), make_person("second")
    row = verified(desk := Desk(make_person("agent")), till, "00")
    assisted.start(row, desk.person, now())
    shown = digest(row)

    def say_yes() -> bool:
        try:
            assisted.approve(row, second, now(), shown)
        except Refused:
            return False
        return True

    assert sum(in_parallel(10, say_yes, 5)) == 1
    events = Command.objects.get().events.filter(to_state="queued").count()
    assert (sent(), events) == (1, 1)


# ── T43: fifteen moves of a corrupt agent ───────────────────────────────────────────────────────────────────


def only_ones_own_word(desk: Desk, till: PairedTill) -> None:
    row = desk.begin(make_ticket(till.terminal.store.merchant, desk.person), till.terminal)
    desk.do(row, "number")
    for what in Stated:
        if what is not Stated.DOCUMENT:
            verification.state(row, desk.person, what)
    assisted.start(row, desk.person, now())


def a_friend_at_the_till(desk: Desk, till: PairedTill) -> None:
    row = desk.begin(make_ticket(till.terminal.store.merchant, desk.person), till.terminal)
    desk.read_screen(row, requests.open_request(till.terminal, "03"))
    verification.state(row, desk.person, Stated.IN_PERSON)
    assisted.start(row, desk.person, now())


def a_forged_check(desk: Desk, till: PairedTill) -> None:
    row = desk.begin(make_ticket(till.terminal.store.merchant, desk.person), till.terminal)
    Proof.objects.create(recovery=row.recovery, method="support", strength=2)
    assisted.start(row, desk.person, now())


def phone_changed_first(desk: Desk, till: PairedTill) -> None:
    merchant = till.terminal.store.merchant
    record(Tag.MERCHANT_PHONE_CHANGED, actor=f"user:{desk.person.pk}", merchant=merchant)
    ticket = make_ticket(merchant, desk.person)
    verification.start(ticket, desk.person, till.terminal.number, "03")


def ones_own_shop(desk: Desk, till: PairedTill) -> None:
    desk.person.phone = till.terminal.store.merchant.phone
    ticket = make_ticket(till.terminal.store.merchant, desk.person)
    verification.start(ticket, desk.person, till.terminal.number, "03")


def without_a_case(desk: Desk, till: PairedTill) -> None:
    ticket = make_ticket(till.terminal.store.merchant)
    verification.start(ticket, desk.person, till.terminal.number, "03")


def a_closed_case(desk: Desk, till: PairedTill) -> None:
    ticket = make_ticket(till.terminal.store.merchant, desk.person)
    tickets.close(ticket, desk.person)
    verification.start(ticket, desk.person, till.terminal.number, "03")


def somebody_elses_case(desk: Desk, till: PairedTill) -> None:
    row = verified(desk, till)
    assisted.start(row, make_person("third"), now())


def another_operator(desk: Desk, till: PairedTill) -> None:
    row = verified(desk, till)
    Recovery.objects.update(operator_number="00")
    assisted.start(row, desk.person, now())


def another_terminals_screen(desk: Desk, till: PairedTill) -> None:
    mine = pair_on_paper(make_terminal(till.terminal.store.merchant)).terminal
    row = desk.begin(make_ticket(till.terminal.store.merchant, desk.person), till.terminal, "00")
    desk.do(row, "text")
    Caller().type_texted(row)
    desk.read_screen(row, requests.open_request(mine, "00"))
    assisted.start(row, desk.person, now())


def old_evidence(desk: Desk, till: PairedTill) -> None:
    row = verified(desk, till)
    Verification.objects.update(expires_at=timezone.now())
    assisted.start(row, desk.person, now())


def an_unattended_screen(desk: Desk, till: PairedTill) -> None:
    assisted.start(verified(desk, till), desk.person, now() - 601)


def one_code_for_the_supervisor(desk: Desk, till: PairedTill) -> None:
    row = desk.begin(make_ticket(till.terminal.store.merchant, desk.person), till.terminal, "00")
    desk.do(row, "text")
    Caller().type_texted(row)
    assisted.start(row, desk.person, now())


def in_bulk(desk: Desk, till: PairedTill) -> None:
    row = verified(desk, till)
    for _one in range(20):
        assert assisted.take(assisted.PER_AGENT, str(desk.person.pk)).ok
    assisted.start(row, desk.person, now())


def no_longer_employed(desk: Desk, till: PairedTill) -> None:
    row = verified(desk, till)
    User.objects.filter(pk=desk.person.pk).update(is_active=False)
    assisted.start(row, User.objects.get(pk=desk.person.pk), now())


MOVES = (
    only_ones_own_word,
    a_friend_at_the_till,
    a_forged_check,
    phone_changed_first,
    ones_own_shop,
    without_a_case,
    a_closed_case,
    somebody_elses_case,
    another_operator,
    another_terminals_screen,
    old_evidence,
    an_unattended_screen,
    one_code_for_the_supervisor,
    in_bulk,
    no_longer_employed,
)


@pytest.mark.parametrize("move", MOVES)
def test_T43_no_move_of_a_corrupt_agent_resets_anything(
    move: Callable[[Desk, PairedTill], None], desk: Desk, till: PairedTill
) -> None:
    with pytest.raises(Refused):
        move(desk, till)
    assert (Command.objects.count(), alarms() > 0) == (0, True)


def test_T43_what_nobody_does_by_mistake_opens_a_case_for_others(desk: Desk, till: PairedTill) -> None:
    with pytest.raises(Refused):
        ones_own_shop(desk, till)
    assert Ticket.objects.filter(step="guard").count() == 1


def test_T43_no_verb_of_the_desk_takes_a_password() -> None:
    named = {
        name
        for module in (assisted, verification)
        for verb in vars(module).values()
        if inspect.isfunction(verb)
        for name in inspect.signature(verb).parameters
    }
    assert not [name for name in named if "password" in name or "secret" in name or "pin" in name.split("_")]
