"""The first proof without the phone: a code to an owner's mailbox or a passkey; the gates decide as ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal import guessing, recovery_codes
from portal.limits import tally
from portal.models import Address, Challenge, Merchant, Message, User, phone_digest
from recovery import steps
from recovery.authority import NotAllowed, authorise
from recovery.models import Recovery
from tests.cast import make_other_merchant, make_owner
from tests.portal.authenticator import ORIGIN, Authenticator
from tests.recovery.test_enumeration import kind_of, look
from tests.recovery.test_proving import passkey_of, proofs, prove
from tests.recovery.test_proving_by_address import name
from tests.recovery.visitor import SHOP, Visitor, make_shop

pytestmark = pytest.mark.django_db
MAIL = "chen@example.com"


@pytest.fixture
def mailbox() -> Address:
    make_shop()
    return name("email", MAIL)


def begin(email: str = MAIL, shop: str = SHOP, client: Client | None = None) -> Visitor:
    visitor = Visitor(client)
    visitor.post("other", shop=shop, email=email, form="")
    visitor.worker()
    return visitor


def proved() -> Visitor:
    visitor = begin()
    visitor.post("code", code=visitor.code)
    return visitor


def mailed() -> list[str]:
    return [row.email for row in Message.objects.filter(template="code", channel="email")]


def test_a_mailbox_alone_opens_an_ordinary_operator_and_all_are_told(mailbox: Address) -> None:
    visitor = begin()
    assert mailed() == [MAIL]
    page = visitor.get("code").content.decode()
    assert "c****@example.com" in page and MAIL not in page
    assert visitor.post("code", code=visitor.wrong_code).status_code == 200
    assert visitor.post("code", code=visitor.code).status_code == 302
    visitor.choose()
    visitor.set_password()
    recovery = visitor.recovery
    assert (recovery.state, proofs()) == ("dispatched", [("email", 2)])
    assert recovery.command is not None
    assert not Message.objects.filter(channel="sms").exists()
    assert visitor.get("status").status_code == 200


def test_the_supervisor_takes_a_further_proof(mailbox: Address) -> None:
    visitor = proved()
    assert visitor.choose("00").url == "/prove/00"
    (code, *_rest) = recovery_codes.make(Merchant.objects.get(), "test")
    assert prove(visitor, "paper", code=code) == "/password"


def test_a_mailbox_that_was_just_named_opens_no_supervisor(mailbox: Address) -> None:
    Address.objects.update(held_until=timezone.now() + timedelta(hours=70))
    visitor = proved()
    assert visitor.choose().url == "/password"
    recovery_codes.make(Merchant.objects.get(), "test")
    (code, *_rest) = recovery_codes.make(Merchant.objects.get(), "test")
    assert prove(visitor, "paper", code=code) == "/prove/00"


def test_a_mailbox_that_is_removed_meanwhile_opens_nothing(mailbox: Address) -> None:
    visitor = proved()
    Address.objects.update(retired_at=timezone.now())
    with pytest.raises(NotAllowed, match="proof"):
        authorise(visitor.recovery, "03")


def test_a_mailbox_that_is_removed_before_the_code_opens_nothing(mailbox: Address) -> None:
    visitor = begin()
    Address.objects.update(retired_at=timezone.now())
    visitor.post("code", code=visitor.code)
    with pytest.raises(NotAllowed, match="proof"):
        authorise(visitor.recovery, "03")


def test_the_code_is_mailed_once_more_and_nobody_is_called(mailbox: Address) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        visitor = begin()
        clock.shift(61)
        visitor.post("call")
        visitor.post("resend")
        visitor.worker()
        assert mailed() == [MAIL] * 2
        assert set(Message.objects.values_list("channel", flat=True)) == {"email"}


# ── who is not let in, and cannot tell why ──────────────────────────────────────────────────────────────────


def unknown_shop() -> tuple[str, str]:
    return MAIL, "898440158129999"


def unknown_mailbox() -> tuple[str, str]:
    return "who@example.com", SHOP


def a_contacts() -> tuple[str, str]:
    Address.objects.update(holder="contact")
    return MAIL, SHOP


def a_removed_one() -> tuple[str, str]:
    Address.objects.update(retired_at=timezone.now())
    return MAIL, SHOP


def of_a_neighbour() -> tuple[str, str]:
    return MAIL, make_other_merchant().number


def of_a_suspended_shop() -> tuple[str, str]:
    Merchant.objects.update(status="suspended")
    return MAIL, SHOP


def over_the_limit() -> tuple[str, str]:
    for _ in range(10):
        guessing.take("mail-per-mailbox", MAIL)
    return MAIL, SHOP


def worn_by_guesses() -> tuple[str, str]:
    for _ in range(50):
        tally(guessing.PER_PHONE, phone_digest(MAIL))
    return MAIL, SHOP


STRANGERS = (
    unknown_shop,
    unknown_mailbox,
    a_contacts,
    a_removed_one,
    of_a_neighbour,
    of_a_suspended_shop,
    over_the_limit,
    worn_by_guesses,
)


def watch(email: str, shop: str, client: Client) -> list[Any]:
    """Take the road of somebody without the code; what each answer looked like, and its queries."""
    seen: list[Any] = []
    visitor = Visitor(client)

    def note(act: Callable[[], Any]) -> None:
        with CaptureQueriesContext(connection) as queries:
            answer = act()
        status, _headers, cookies, body = look(answer)
        body = body.replace(b"c****@", b"w****@").replace(shop.encode(), b"*")
        seen.append((status, cookies, body, [kind_of(query["sql"]) for query in queries]))

    with time_machine.travel(timezone.now(), tick=False) as clock:
        note(lambda: visitor.post("other", shop=shop, email=email, form=""))
        note(lambda: visitor.get("code"))
        visitor.worker()
        note(lambda: visitor.get("code"))
        clock.shift(61)
        note(lambda: visitor.post("resend"))
        visitor.worker()
        for _ in range(6):
            note(lambda: visitor.post("code", code=visitor.wrong_code))
        note(lambda: visitor.get("code"))
    return seen


@pytest.mark.parametrize("who", STRANGERS, ids=lambda who: who.__name__)
def test_strangers_see_what_the_shop_sees_and_get_no_mail(
    mailbox: Address, who: Callable[[], tuple[str, str]], settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {"identify": "1000/hour", "code": "1000/hour"}
    client = Client()
    client.get("/")
    ours = watch(MAIL, SHOP, client)
    assert mailed() == [MAIL] * 2
    Message.objects.all().delete()
    client.cookies.pop(settings.RECOVERY_COOKIE_NAME, None)
    email, shop = who()
    for our, their in zip(ours, watch(email, shop, client), strict=True):
        assert their == our
    assert mailed() == []


def test_the_right_code_opens_the_door_for_the_known_only(mailbox: Address) -> None:
    stranger = begin("who@example.com")
    stranger.post("code", code=stranger.code)
    assert stranger.recovery.state == Recovery.State.PROVING


def test_while_codes_are_guessed_everywhere_a_mailbox_alone_opens_nothing(
    mailbox: Address, settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {guessing.OVERALL: "1/day"}
    guessing.note_wrong("+8613900003057", real=True)
    visitor = proved()
    assert proofs() == [("email", 1)]
    with pytest.raises(NotAllowed, match="proof"):
        authorise(visitor.recovery, "03")


@pytest.mark.parametrize(
    "email", ["", "chen", "chen@", "@example.com", "\x00@x.cn", "a" * 150 + "@example.com"]
)
def test_what_is_no_address_is_told_and_begins_nothing(mailbox: Address, email: str) -> None:
    assert Client().post("/start/other", {"shop": SHOP, "email": email}).status_code == 200
    assert not Recovery.objects.exists()


# ── a passkey ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def device(settings: LazySettings) -> Authenticator:
    settings.REKEY_ORIGIN = ORIGIN
    make_shop()
    return passkey_of(make_owner(Merchant.objects.get()))


def asked(client: Client) -> dict[str, Any]:
    options: dict[str, Any] = json.loads(client.post("/start/passkey/options").content)
    return options


def use(device: Authenticator, client: Client | None = None) -> Visitor:
    visitor = Visitor(client)
    visitor.post("start_passkey", response=device.sign(asked(visitor.client)))
    return visitor


def test_a_passkey_opens_an_ordinary_operator_without_a_code(device: Authenticator) -> None:
    visitor = use(device)
    assert (visitor.recovery.state, proofs()) == ("proved", [("passkey", 2)])
    assert not Message.objects.filter(template="code").exists()
    visitor.choose()
    visitor.set_password()
    assert visitor.recovery.state == "dispatched"
    assert visitor.get("status").status_code == 200


def test_a_passkey_takes_a_further_proof_for_the_supervisor(device: Authenticator) -> None:
    visitor = use(device)
    assert visitor.choose("00").url == "/prove/00"
    (code, *_rest) = recovery_codes.make(Merchant.objects.get(), "test")
    assert prove(visitor, "paper", code=code) == "/password"


def test_what_is_asked_names_no_passkey(device: Authenticator) -> None:
    assert not asked(Client()).get("allowCredentials")


def suspended() -> None:
    Merchant.objects.update(status="suspended")


def stopped() -> None:
    User.objects.update(is_active=False)


def staff() -> None:
    User.objects.update(merchant=None)


@pytest.mark.parametrize("matter", [suspended, stopped, staff], ids=lambda matter: matter.__name__)
def test_whose_shop_or_account_is_not_in_force_begins_nothing(
    device: Authenticator, matter: Callable[[], None]
) -> None:
    matter()
    client = Client()
    answer = client.post("/start/passkey", {"response": device.sign(asked(client))})
    assert answer.headers["Location"] == "/start/other"
    assert not Recovery.objects.exists()


def test_an_answer_counts_once_in_the_browser_that_was_asked_and_for_nothing_else(
    device: Authenticator,
) -> None:
    client, other = Client(), Client()
    answer = device.sign(asked(client))
    sign_in = device.sign(json.loads(client.post("/sign-in/passkey/options").content))
    for browser, sent in ((other, answer), (client, sign_in), (client, "{}"), (client, "")):
        browser.post("/start/passkey", {"response": sent})
    assert not Recovery.objects.exists()
    for _ in range(2):
        client.post("/start/passkey", {"response": answer})
    assert Recovery.objects.count() == 1


def test_an_owner_whose_account_ends_meanwhile_resets_nothing(device: Authenticator) -> None:
    visitor = use(device)
    visitor.choose()
    User.objects.update(is_active=False)
    with pytest.raises(NotAllowed, match="proof"):
        authorise(visitor.recovery, "03")


def test_the_decoy_code_of_a_passkey_opens_nothing(device: Authenticator) -> None:
    visitor = use(device)
    assert Challenge.objects.get(pk=visitor.recovery.challenge_id).to == ""
    assert visitor.post("code", code=visitor.code).status_code == 302
    assert visitor.recovery.state in steps.CHOOSING
