"""Owners are reminded to confirm how their shop is reached: by day, once in so many days, if they can."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.utils import timezone

from portal import reminders, tasks
from portal.celery import SCHEDULE
from portal.changes import What
from portal.models import Address, Merchant, Message, User
from portal.people.nag import nags
from tests.cast import make_merchant, make_owner
from tests.portal.parallel import at_once
from tests.portal.test_changes import MAIL, OLD, done, mail, shop

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # 12:00 in Shanghai


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def owner(clock: Any) -> User:
    owner = make_owner(make_merchant())
    Merchant.objects.update(created_at=NOON, phone_confirmed_at=NOON)
    return owner


def told() -> list[str]:
    return sorted(row.phone or row.email for row in Message.objects.filter(template="confirm-due"))


def is_on_the_first_page() -> bool:
    return any(link == "/proofs" for _text, _step, link in nags(shop()))


def test_a_phone_that_nobody_confirmed_for_75_days_is_asked_about_once(owner: User, clock: Any) -> None:
    mail(owner)
    clock.shift(timedelta(days=75))
    tasks.remind_owners()
    assert told() == []
    clock.shift(timedelta(minutes=1))
    tasks.remind_owners()
    assert told() == [OLD, MAIL]
    assert is_on_the_first_page()
    for _ in range(3):
        tasks.remind_owners()
    assert told() == [OLD, MAIL]


def test_after_as_many_days_again_it_is_asked_about_once_more(owner: User, clock: Any) -> None:
    for days in (76, 74, 2):
        clock.shift(timedelta(days=days))
        tasks.remind_owners()
    assert told() == [OLD] * 2


def test_a_code_typed_back_ends_it(owner: User, clock: Any) -> None:
    clock.shift(timedelta(days=76))
    done(owner, What.CONFIRMED, OLD)
    tasks.remind_owners()
    assert told() == []
    assert not is_on_the_first_page()


@pytest.mark.parametrize("holder", Address.Holder.values)
def test_an_old_address_or_contact_is_asked_about_as_well(owner: User, clock: Any, holder: str) -> None:
    mail(owner, holder=holder)
    clock.shift(timedelta(days=76))
    done(owner, What.CONFIRMED, OLD)
    tasks.remind_owners()
    assert OLD in told()
    Merchant.objects.update(reminded_at=None)
    Message.objects.all().delete()
    Address.objects.update(retired_at=timezone.now())
    tasks.remind_owners()
    assert told() == []


def test_nobody_is_woken(owner: User, clock: Any) -> None:
    clock.shift(timedelta(days=76, hours=9))
    tasks.remind_owners()
    assert told() == []
    clock.shift(timedelta(hours=12, minutes=-1))
    tasks.remind_owners()
    assert told() == []
    clock.shift(timedelta(minutes=1))
    tasks.remind_owners()
    assert told() == [OLD]


def no_owner() -> None:
    User.objects.update(is_active=False)


def suspended() -> None:
    Merchant.objects.update(status="suspended")


@pytest.mark.parametrize("matter", [no_owner, suspended], ids=lambda matter: matter.__name__)
def test_who_cannot_confirm_is_not_asked(owner: User, clock: Any, matter: Any) -> None:
    matter()
    clock.shift(timedelta(days=76))
    assert reminders.remind(timezone.now()) == 0


def test_with_no_days_set_nobody_is_reminded(owner: User, clock: Any, settings: LazySettings) -> None:
    settings.REKEY_RECONFIRM_DAYS = 0
    clock.shift(timedelta(days=400))
    assert reminders.remind(timezone.now()) == 0


def test_the_clock_asks_every_hour() -> None:
    assert SCHEDULE["owners-remind"]["task"] == "portal.tasks.remind_owners"


@pytest.mark.django_db(transaction=True)
def test_five_workers_remind_once() -> None:
    with time_machine.travel(NOON, tick=False):
        make_owner(make_merchant())
        Merchant.objects.update(created_at=NOON - timedelta(days=76))
        at_once(*[lambda: reminders.remind(NOON)] * 5)
        assert told() == [OLD]
