"""A second way around a control (T34): whatever comes up before the last step stops it, at each door."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from portal.models import Merchant, User
from recovery import steps
from recovery.models import Recovery
from terminals import jose, ocra, requests
from terminals.models import Command, OfflineUnlock, Operator, Terminal
from tests.cast import PairedTill, make_owner, signed_in
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db
KEY = bytes(range(32))


@pytest.fixture
def till() -> PairedTill:
    paired = make_shop()
    Terminal.objects.update(offline_key=jose.b64u(KEY))
    return paired


# ── the doors, each up to the last step ─────────────────────────────────────────────────────────────────────


def browser(till: PairedTill) -> Visitor:
    visitor = Visitor()
    visitor.prove()
    visitor.choose()
    return visitor


def owner(till: PairedTill) -> Visitor:
    visitor = Visitor(signed_in(make_owner(till.terminal.store.merchant)))
    visitor.client.post(f"/start/{till.terminal.pk}/03")
    visitor.worker()
    visitor.post("code", code=visitor.code)
    return visitor


def screen(till: PairedTill) -> Visitor:
    visitor, shown = Visitor(), requests.open_request(till.terminal, "03")
    visitor.prove_at(shown)
    visitor.post("match", number=shown.match)
    return visitor


def password(visitor: Visitor) -> None:
    visitor.set_password()


def choice(visitor: Visitor) -> None:
    visitor.post("let_them_choose", subject=steps.subject_mark(visitor.recovery))


def answer(visitor: Visitor) -> None:
    visitor.ask_offline(ocra.make_question(1))


DOORS = {"browser": browser, "owner": owner, "screen": screen}
LAST_STEPS = {"password": password, "choice at the terminal": choice, "offline answer": answer}


# ── what comes between ──────────────────────────────────────────────────────────────────────────────────────


def another_phone() -> None:
    merchant = Merchant.objects.get()
    merchant.phone = "+8613800002054"
    merchant.save()


def frozen() -> None:
    Merchant.objects.update(frozen_until=timezone.now() + timedelta(minutes=1))


REASONS: dict[str, Callable[[], object]] = {
    "shop closed": lambda: Merchant.objects.update(status=Merchant.Status.CLOSED),
    "shop suspended": lambda: Merchant.objects.update(status=Merchant.Status.SUSPENDED),
    "another phone": another_phone,
    "frozen": frozen,
    "terminal stopped": lambda: Terminal.objects.update(state=Terminal.State.QUARANTINED),
    "operator removed": lambda: Operator.objects.filter(number="03").delete(),
    "supervisor instead": lambda: Recovery.objects.update(operator_number="99"),
}


def let_in() -> int:
    return Command.objects.count() + OfflineUnlock.objects.count()


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("step", LAST_STEPS)
@pytest.mark.parametrize("door", DOORS)
def test_T34_every_reason_stops_every_last_step_at_every_door(
    door: str, step: str, reason: str, till: PairedTill
) -> None:
    visitor = DOORS[door](till)
    REASONS[reason]()
    LAST_STEPS[step](visitor)
    assert let_in() == 0


@pytest.mark.parametrize("step", LAST_STEPS)
@pytest.mark.parametrize("door", DOORS)
def test_T34_without_a_reason_every_last_step_is_taken(door: str, step: str, till: PairedTill) -> None:
    visitor = DOORS[door](till)
    LAST_STEPS[step](visitor)
    assert let_in() == 1


@pytest.mark.parametrize("step", LAST_STEPS)
def test_T34_an_owner_whose_account_was_stopped_since_takes_none(step: str, till: PairedTill) -> None:
    visitor = owner(till)
    User.objects.update(is_active=False)
    LAST_STEPS[step](visitor)
    assert let_in() == 0
