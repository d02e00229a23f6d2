"""A reset that was not theirs: withdrawn, locked, frozen for an hour, a case, all told, once only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from portal import changes
from portal.models import Address, AddressChange, Merchant, Message
from recovery.authority import NotAllowed, authorise
from recovery.models import Recovery, Ticket
from recovery.not_me import disown
from terminals.models import Command
from tests.cast import make_staff, signed_in
from tests.portal.parallel import in_parallel
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def visitor() -> Visitor:
    make_shop()
    walker = Visitor()
    walker.dispatch()
    return walker


def kinds() -> list[tuple[str, str]]:
    return sorted(Command.objects.values_list("kind", "state"))


def told() -> list[str]:
    return sorted(row.phone or row.email for row in Message.objects.filter(template="stopped"))


def test_the_page_asks_before_it_does_anything(visitor: Visitor) -> None:
    page = visitor.get("not_me")
    assert page.status_code == 200
    assert kinds() == [("set_credential", "queued")]
    assert Merchant.objects.get().frozen_until is None


def test_what_is_not_applied_is_withdrawn_and_the_operator_locked(visitor: Visitor) -> None:
    assert visitor.post("not_me").headers["Location"] == "/status"
    assert kinds() == [("lock", "queued"), ("set_credential", "cancelled")]
    assert Command.objects.get(kind="lock").operator_number == "03"


def test_what_is_applied_stays_and_the_operator_is_locked(visitor: Visitor) -> None:
    Command.objects.update(state="applied")
    visitor.post("not_me")
    assert kinds() == [("lock", "queued"), ("set_credential", "applied")]


def test_a_case_is_opened_and_every_address_is_told(visitor: Visitor) -> None:
    merchant = Merchant.objects.get()
    for kind, value, holder in (("email", "o@example.com", "owner"), ("phone", "+8613900003057", "contact")):
        Address.objects.create(merchant=merchant, kind=kind, value=value, holder=holder, digest=value)
    visitor.post("not_me")
    assert told() == ["+8613800002046", "+8613900003057", "o@example.com"]
    ticket = Ticket.objects.get()
    assert (ticket.step, ticket.merchant) == ("not_me", merchant)
    assert visitor.recovery.number in ticket.entries.get().text


def test_nobody_resets_for_an_hour(visitor: Visitor) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        visitor.post("not_me")
        other = Visitor()
        other.prove()
        other.choose()
        with pytest.raises(NotAllowed, match="frozen"):
            authorise(other.recovery, "03")
        assert Recovery.objects.filter(state="dispatched").count() == 0
        clock.shift(timedelta(hours=1, seconds=1))
        later = Visitor()
        later.dispatch()
        assert later.recovery.state == "dispatched"


def test_said_twice_it_is_told_once(visitor: Visitor) -> None:
    visitor.post("not_me")
    visitor.post("not_me")
    assert (len(told()), Ticket.objects.count(), Command.objects.filter(kind="lock").count()) == (1, 1, 1)


def test_a_browser_without_the_recovery_stops_nothing(visitor: Visitor) -> None:
    assert Visitor().post("not_me").status_code == 410
    assert kinds() == [("set_credential", "queued")]


def test_before_a_password_is_sent_there_is_nothing_to_disown() -> None:
    make_shop()
    walker = Visitor()
    walker.prove()
    assert walker.post("not_me").status_code == 302
    assert not disown(walker.recovery)


@pytest.mark.django_db(transaction=True)
def test_of_five_at_once_one_raises_the_alarm() -> None:
    make_shop()
    walker = Visitor()
    recovery = walker.dispatch()
    assert sorted(in_parallel(5, lambda: disown(recovery))) == [False] * 4 + [True]
    assert (len(told()), Command.objects.filter(kind="lock").count()) == (1, 1)


# ── the old phone, by way of the hotline ────────────────────────────────────────────────────────────────────


def stop_at_desk(superuser: bool) -> Any:
    make_shop()
    merchant = Merchant.objects.get()
    old, merchant.phone = merchant.phone, "+8613900003057"
    merchant.save()
    changes.made_at_desk(merchant, old, "user:1")
    change = AddressChange.objects.get()
    desk = signed_in(make_staff(superuser=superuser))
    form = {"action": "stop", "_selected_action": [change.pk]}
    return desk.post("/admin/portal/addresschange/", form, headers=ENGLISH)


def test_support_stops_a_change_whose_number_was_quoted() -> None:
    stop_at_desk(superuser=True)
    assert Merchant.objects.get().phone == "+8613800002046"


def test_who_may_not_stop_a_change_stops_none() -> None:
    stop_at_desk(superuser=False)
    assert Merchant.objects.get().phone == "+8613900003057"
