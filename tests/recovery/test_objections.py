"""“This wasn't me” with the number of a notice: a code to an address on file, then everything is stopped."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.changes import What
from portal.codes import derive_code
from portal.models import Allowance, AuditEvent, Merchant, Message
from portal.quoted import number_of
from portal.secrets import pepper
from recovery import objecting, tasks
from recovery.models import Objection, Recovery, Ticket
from terminals.models import Command
from tests.cast import make_owner
from tests.portal.parallel import at_once
from tests.portal.test_changes import done
from tests.recovery.test_enumeration import kind_of, look
from tests.recovery.test_not_me import kinds, told
from tests.recovery.test_proving_by_address import name
from tests.recovery.visitor import PHONE, SHOP, Visitor, make_shop

pytestmark = pytest.mark.django_db
ENGLISH = {"Accept-Language": "en"}
MAIL, OTHER = "chen@example.com", "139 0000 3057"


@pytest.fixture
def reset() -> Recovery:
    """A reset that is on its way to operator 03, by somebody who had the phone for a minute."""
    make_shop()
    return Visitor().dispatch()


class Owner:
    """Somebody who got a notice and says it was not them."""

    def __init__(self) -> None:
        self.client = Client(headers=ENGLISH)

    def object(self, number: str, to: str = PHONE) -> Any:
        """Type the number of the notice, and let the worker look."""
        answer = self.client.post("/not-me", {"number": number, "to": to})
        for waiting in Objection.objects.filter(resolved_at__isnull=True):
            tasks.look_into(waiting.pk)
        return answer

    @property
    def code(self) -> str:
        """The code that was sent, or would have been."""
        challenge = Objection.objects.latest("created_at").challenge
        return derive_code(pepper(), challenge.seed, challenge.purpose)

    def type(self, code: str) -> Any:
        """Type a code."""
        return self.client.post("/not-me/code", {"code": code})

    def stop(self, number: str, to: str = PHONE) -> Any:
        """All of it."""
        self.object(number, to)
        return self.type(self.code)


def shop() -> Merchant:
    return Merchant.objects.get(number=SHOP)


def is_frozen() -> bool:
    until = shop().frozen_until
    return until is not None and until > timezone.now()


def codes_to() -> list[str]:
    challenges = Objection.objects.values("challenge")
    return [row.phone or row.email for row in Message.objects.filter(challenge__in=challenges)]


def test_number_and_code_stop_everything(reset: Recovery) -> None:
    name("email", MAIL)
    owner = Owner()
    assert owner.object(reset.number).headers["Location"] == "/not-me/code"
    assert kinds() == [("set_credential", "queued")] and not is_frozen()
    assert owner.type(owner.code).headers["Location"] == "/not-me/code"
    assert kinds() == [("lock", "queued"), ("set_credential", "cancelled")]
    assert is_frozen() and told() == ["+86" + PHONE, MAIL]
    assert (Ticket.objects.get().step, Ticket.objects.get().merchant) == ("not_me", shop())
    page = owner.client.get("/not-me/code").content.decode()
    assert 'Operator <span class="num">03</span> is being locked' in page
    assert f"{timezone.localtime(shop().frozen_until):%H:%M}" in page


def test_what_is_applied_stays_and_the_operator_is_locked(reset: Recovery) -> None:
    Command.objects.update(state="applied")
    Owner().stop(reset.number)
    assert kinds() == [("lock", "queued"), ("set_credential", "applied")]


def test_the_code_goes_to_a_mailbox_of_the_owner_as_well(reset: Recovery) -> None:
    name("email", MAIL)
    Owner().stop(reset.number, MAIL.upper())
    assert codes_to() == [MAIL.upper()] or codes_to() == ["CHEN@example.com"]
    assert is_frozen()


def test_the_number_of_a_change_stops_and_undoes_it(reset: Recovery) -> None:
    old = shop().phone
    change = done(make_owner(shop()), What.REGISTERED)
    Owner().stop(number_of(change.pk), old)
    assert (shop().phone, is_frozen()) == (old, True)
    assert Ticket.objects.get().step == "not_me"


def test_the_phone_that_was_replaced_can_still_object_to_a_reset(reset: Recovery) -> None:
    old = shop().phone
    done(make_owner(shop()), What.REGISTERED)
    Owner().stop(reset.number, old)
    assert is_frozen()


def unknown(reset: Recovery) -> tuple[str, str]:
    return "BBBB-BBBB", PHONE


def strange_phone(reset: Recovery) -> tuple[str, str]:
    return reset.number, OTHER


def strange_mail(reset: Recovery) -> tuple[str, str]:
    return reset.number, "who@example.com"


def contact(reset: Recovery) -> tuple[str, str]:
    name("email", MAIL, "contact")
    return reset.number, MAIL


def neighbours(reset: Recovery) -> tuple[str, str]:
    Recovery.objects.filter(pk=reset.pk).update(merchant=None)
    return reset.number, PHONE


def old(reset: Recovery) -> tuple[str, str]:
    Recovery.objects.update(created_at=timezone.now() - objecting.SINCE - timedelta(minutes=1))
    return reset.number, PHONE


def no_texts_left(reset: Recovery) -> tuple[str, str]:
    for _ in range(5):
        objecting.texting.refusal(objecting.texting.Ask("+86" + PHONE, "b", shop()))
    return reset.number, PHONE


STRANGERS = (unknown, strange_phone, strange_mail, contact, neighbours, old, no_texts_left)


@pytest.mark.parametrize("who", STRANGERS, ids=lambda who: who.__name__)
def test_whom_the_shop_does_not_know_stops_nothing(
    reset: Recovery, who: Callable[[Recovery], tuple[str, str]]
) -> None:
    owner = Owner()
    owner.stop(*who(reset))
    assert codes_to() == [] and not is_frozen()
    assert kinds() == [("set_credential", "queued")]


def watch(number: str, to: str, client: Client) -> list[Any]:
    seen: list[Any] = []

    def note(act: Callable[[], Any]) -> None:
        with CaptureQueriesContext(connection) as queries:
            answer = act()
        status, _headers, cookies, body = look(answer)
        plain = re.sub(rb"[0-9]{3}\*{4}[0-9]{4}|.\*{4}@[a-z.]+", b"*", body)
        seen.append((status, cookies, plain, [kind_of(query["sql"]) for query in queries]))

    with time_machine.travel(timezone.now(), tick=False):
        note(lambda: client.post("/not-me", {"number": number, "to": to}))
        note(lambda: client.get("/not-me/code"))
        tasks.look_into(Objection.objects.latest("created_at").pk)
        note(lambda: client.get("/not-me/code"))
        challenge = Objection.objects.latest("created_at").challenge
        code = derive_code(pepper(), challenge.seed, challenge.purpose)
        for _ in range(6):
            note(lambda: client.post("/not-me/code", {"code": f"{(int(code) + 1) % 10**6:06}"}))
        note(lambda: client.get("/not-me/code"))
    return seen


@pytest.mark.parametrize("who", STRANGERS, ids=lambda who: who.__name__)
def test_strangers_see_what_the_shop_sees(
    reset: Recovery, who: Callable[[Recovery], tuple[str, str]], settings: Any
) -> None:
    settings.REKEY_LIMITS = {"not-me": "1000/hour", "code": "1000/hour"}
    client = Client(headers=ENGLISH)
    client.get("/not-me")
    watch("CCCC-CCCC", PHONE, client)  # the session is there, as it is for the two that are compared
    Allowance.objects.all().delete()
    ours = watch(reset.number, PHONE, client)
    assert codes_to() == ["+86" + PHONE]
    Allowance.objects.all().delete()
    Message.objects.all().delete()
    number, to = who(reset)
    for theirs, our in zip(watch(number, to, client), ours, strict=True):
        mask = re.compile(rb"[B-Z2-9]{4}-[B-Z2-9]{4}")
        assert theirs[:2] == our[:2] and theirs[3] == our[3]
        assert mask.sub(b"*", theirs[2]) == mask.sub(b"*", our[2])


def test_five_wrong_codes_end_it(reset: Recovery) -> None:
    owner = Owner()
    owner.object(reset.number)
    wrong = f"{(int(owner.code) + 1) % 10**6:06}"
    for _ in range(5):
        owner.type(wrong)
    owner.type(owner.code)
    assert not is_frozen()
    assert "can no longer be used" in owner.client.get("/not-me/code").content.decode()


def test_a_browser_that_said_nothing_is_asked_for_the_number() -> None:
    assert Client().get("/not-me/code").headers["Location"] == "/not-me"
    assert Client().post("/not-me/code", {"code": "123456"}).headers["Location"] == "/not-me"


def test_said_twice_it_is_told_once(reset: Recovery) -> None:
    Owner().stop(reset.number)
    Owner().stop(reset.number)
    assert (len(told()), Ticket.objects.count()) == (1, 1)


def test_a_lost_nudge_is_made_good(reset: Recovery) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        Client().post("/not-me", {"number": reset.number, "to": PHONE})
        assert objecting.waiting_for_worker(timezone.now()) == []
        clock.shift(3)
        (waiting,) = objecting.waiting_for_worker(timezone.now())
        assert objecting.look_into(waiting) and not objecting.look_into(waiting)
        assert codes_to() == ["+86" + PHONE]


def test_an_address_has_ten_an_hour(settings: Any) -> None:
    settings.REKEY_LIMITS = {"not-me": "2/hour"}
    answers = [Owner().object("BBBB-BBBB").status_code for _ in range(3)]
    assert answers == [302, 302, 429]


def test_phones_and_numbers_stand_in_no_trail(reset: Recovery) -> None:
    name("email", MAIL)
    Owner().stop(reset.number, MAIL)
    trail = str(list(AuditEvent.objects.values_list("tag", "actor", "subject", "facts")))
    assert PHONE not in trail and MAIL not in trail
    assert "recovery:recovery:disowned" in trail


@pytest.mark.django_db(transaction=True)
def test_the_right_code_five_times_at_once_counts_once() -> None:
    make_shop()
    reset = Visitor().dispatch()
    owner = Owner()
    owner.object(reset.number)
    said = Objection.objects.select_related("merchant", "recovery__terminal__store__merchant", "change").get()
    code = owner.code
    assert sorted(at_once(*[lambda: objecting.prove(said, code).ok] * 5)) == [False] * 4 + [True]
    assert (len(told()), Ticket.objects.count()) == (1, 1)


# ── what the page of the reset says then ────────────────────────────────────────────────────────────────────


def test_while_frozen_the_page_of_the_reset_says_until_when_and_offers_no_start() -> None:
    make_shop()
    visitor = Visitor(Client(headers=ENGLISH))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        reset = visitor.dispatch()
        visitor.post("withdraw")
        assert "Start again" in visitor.get("status").content.decode()
        Owner().stop(reset.number)
        page = visitor.get("status").content.decode()
        assert "Start again" not in page and f"{timezone.localtime(shop().frozen_until):%H:%M}" in page
        assert "Support has a case" in page
        clock.shift(timedelta(hours=1, seconds=1))
        assert "Start again" in visitor.get("status").content.decode()
