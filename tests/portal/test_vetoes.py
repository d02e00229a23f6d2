"""A change is undone by the number in its notices: once, within 72 hours, and it is kept nowhere."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from portal import vetoes
from portal.changes import What
from portal.limits import TooMany, take
from portal.messaging import outbox
from portal.models import AddressChange, AuditEvent, Message, User
from portal.quoted import number_of
from recovery.models import Ticket
from tests.cast import make_merchant, make_owner, make_staff, signed_in
from tests.portal.parallel import at_once
from tests.portal.test_changes import NEW, OLD, done, mail, shop, told

pytestmark = pytest.mark.django_db
ENGLISH = {"Accept-Language": "en"}
NO_SUCH = "Nothing can be undone by this number"


@pytest.fixture
def owner() -> User:
    return make_owner(make_merchant())


def post(number: str, client: Client | None = None) -> Any:
    return (client or Client()).post("/veto", {"number": number}, headers=ENGLISH)


def words_of(message: Message) -> str:
    return outbox.parcel_of(message).text


def test_old_phone_and_mailbox_are_told_the_number_that_undoes_the_change(owner: User) -> None:
    mail(owner)
    Message.objects.all().delete()
    change = done(owner, What.REGISTERED)
    text, letter = (
        Message.objects.get(template="phone-changed", **to) for to in ({"email": ""}, {"phone": ""})
    )
    number = number_of(change.pk)
    assert number in words_of(text) and "http" not in words_of(text)
    assert re.search(rf"https?://[^/]+/veto#{number}\n", words_of(letter))
    assert number not in words_of(Message.objects.get(template="way-registered"))


def test_one_number_and_one_button_undo_it_and_open_a_case(owner: User) -> None:
    change = done(owner, What.REGISTERED)
    Message.objects.all().delete()
    answer = post(f" {number_of(change.pk).lower().replace('-', ' ')} ")
    assert answer.status_code == 200 and "It is undone" in answer.content.decode()
    assert shop().phone == OLD
    assert told() == [("change-stopped", OLD), ("change-stopped", NEW)]
    ticket = Ticket.objects.get()
    assert (ticket.step, ticket.merchant) == ("veto", shop())
    assert change.number in ticket.entries.get().text


def test_it_works_once(owner: User) -> None:
    number = number_of(done(owner).pk)
    post(number)
    assert NO_SUCH in post(number).content.decode()
    assert Ticket.objects.count() == 1


def test_it_works_for_72_hours(owner: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        number = number_of(done(owner, What.REGISTERED).pk)
        clock.shift(timedelta(hours=72, seconds=1))
        assert NO_SUCH in post(number).content.decode()
        assert shop().phone == NEW


def test_unknown_used_and_late_numbers_are_answered_alike(owner: User) -> None:
    used = number_of(done(owner).pk)
    post(used)
    client = Client()
    client.get("/veto")
    answers = {
        re.sub(r'value="[^"]*"', "", post(one, client).content.decode()) for one in (used, "BBBB-BBBB")
    }
    assert len(answers) == 1


def test_the_number_that_owner_and_desk_see_undoes_nothing(owner: User) -> None:
    change = done(owner, What.REGISTERED)
    assert NO_SUCH in post(change.number).content.decode()
    assert shop().phone == NEW


@pytest.mark.parametrize("typed", ["", "C7F3", "AEIO-U010", "1" * 60, "\x00" * 8])
def test_what_cannot_be_a_number_is_told_and_costs_nothing(owner: User, typed: str) -> None:
    assert "8 letters and digits" in post(typed).content.decode()
    assert not vetoes.veto(typed)


def test_the_number_stands_in_no_row_and_no_trail(owner: User) -> None:
    number = number_of(done(owner, What.REGISTERED).pk)
    rows = [
        AddressChange.objects.values(),
        Message.objects.values(),
        AuditEvent.objects.values("facts", "subject"),
    ]
    assert number not in str([list(each) for each in rows])


def test_looking_undoes_nothing(owner: User) -> None:
    done(owner, What.REGISTERED)
    assert Client().get("/veto").status_code == 200
    assert shop().phone == NEW


def test_an_address_has_twenty_tries_an_hour(owner: User, settings: Any) -> None:
    settings.REKEY_LIMITS = {"veto": "2/hour"}
    client = Client()
    assert [post("BBBB-BBBB", client).status_code for _ in range(3)] == [200, 200, 429]


def test_wrong_numbers_are_counted_over_everybody_and_right_ones_are_not(owner: User, settings: Any) -> None:
    settings.REKEY_LIMITS = {vetoes.MISSES: "2/day"}
    assert vetoes.veto(number_of(done(owner).pk))
    assert [vetoes.veto("BBBB-BBBB") for _ in range(2)] == [False, False]
    with pytest.raises(TooMany):
        vetoes.veto("BBBB-BBBB")
    assert post(number_of(done(owner).pk)).status_code == 429
    assert not take(vetoes.MISSES, "").ok


@pytest.mark.django_db(transaction=True)
def test_of_five_at_once_one_undoes_it() -> None:
    number = number_of(done(make_owner(make_merchant()), What.REGISTERED).pk)
    assert sorted(at_once(*[lambda: vetoes.veto(number)] * 5)) == [False] * 4 + [True]
    assert Ticket.objects.count() == 1


# ── at the hotline ──────────────────────────────────────────────────────────────────────────────────────────


def at_desk(number: str, *, superuser: bool = True) -> Any:
    desk = signed_in(make_staff(superuser=superuser))
    return desk.post("/admin/portal/addresschange/quoted/", {"number": number}, headers=ENGLISH)


def test_support_undoes_the_change_whose_number_was_quoted(owner: User) -> None:
    assert at_desk(number_of(done(owner, What.REGISTERED).pk)).status_code == 302
    assert (shop().phone, Ticket.objects.get().step) == (OLD, "veto")
    assert AuditEvent.objects.filter(tag="portal:address:change-stopped", actor__startswith="user:").exists()


def test_the_desk_is_told_no_more_than_the_page(owner: User) -> None:
    done(owner, What.REGISTERED)
    assert NO_SUCH in at_desk("BBBB-BBBB").content.decode()
    assert shop().phone == NEW


def test_who_may_not_stop_a_change_undoes_nothing(owner: User) -> None:
    number = number_of(done(owner, What.REGISTERED).pk)
    assert at_desk(number, superuser=False).status_code == 403
    assert shop().phone == NEW
