"""Side doors (T03): every address that answers strangers has its row, and no id tells whether it is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import time_machine
from django.utils import timezone

from portal.models import Address, AddressChange, BrowserSession, KnownBrowser, Passkey, User
from recovery.desk import tickets
from tests.cast import make_other_merchant, make_owner, make_terminal, pair_on_paper, signed_in
from tests.recovery.test_enumeration import look
from tests.recovery.visitor import make_shop
from tests.threats.routes import SAMPLES, Route, is_public, routes

TESTS = Path(__file__).resolve().parents[1]
ALIKE = "the same for everybody"
# Name of the address → why it tells nothing: nothing is looked up, or the test that compares its answers.
PUBLIC = {
    "healthz": ALIKE,
    "readyz": ALIKE,
    "metrics": ALIKE,
    "set_language": ALIKE,
    "terminal-v1:openapi-json": ALIKE,
    "terminal-v1:api-root": ALIKE,
    "terminal-v1:get_keyset": ALIKE,
    "terminal-v1:enroll": "test_every_wrong_reason_gets_one_identical_answer",
    "admin:login": "test_T03_unknown_and_known_accounts_get_the_same_bytes",
    "portal:sign_in": "test_T03_unknown_and_known_accounts_get_the_same_bytes",
    "recovery:partner_sign_in": "test_T03_unknown_and_known_accounts_get_the_same_bytes",
    "portal:sign_in_passkey_options": "test_what_is_asked_tells_nothing_about_who_has_one",
    "portal:signed_out": ALIKE,
    "portal:hotline": ALIKE,
    "portal:privacy": ALIKE,
    "portal:sms_callback": "test_T19_a_forged_report_changes_nothing",
    "portal:aliyun_reports": "test_T19_a_forged_report_changes_nothing",
    "portal:veto": "test_unknown_used_and_late_numbers_are_answered_alike",
    "portal:join": "test_a_code_that_is_over_is_answered_as_one_that_never_was",
    "portal:password_forgotten": (
        "test_T03_a_name_that_nobody_has_is_answered_byte_by_byte_like_one_that_is_there"
    ),
    "portal:password_done": ALIKE,
    "portal:factor_lost": "test_a_wrong_password_and_an_unknown_name_are_one_answer",
    "portal:factor_done": ALIKE,
    "recovery:not_me_number": "test_strangers_see_what_the_shop_sees",
    "recovery:other": "test_strangers_see_what_the_shop_sees_and_get_no_mail",
    "recovery:start_passkey_options": "test_what_is_asked_names_no_passkey",
    "recovery:identify": "test_T01_eight_classes_of_visitors_cannot_be_told_apart",
    "recovery:user_code": "test_T03_a_code_that_does_not_exist_looks_like_one_that_does",
    "recovery:phone": "test_T03_a_code_that_does_not_exist_looks_like_one_that_does",
    "recovery:support": ALIKE,
    "recovery:follow": "test_strangers_see_what_the_phone_on_the_ticket_sees",
    "recovery:caller": "test_a_ticket_that_is_not_there_is_answered_like_a_wrong_code",
    "terminals:directory": ALIKE,
    "terminals:directory_number": ALIKE,
    "terminals:directory_sticker": ALIKE,
}


@pytest.mark.django_db
def test_T03_every_address_that_answers_strangers_has_its_row() -> None:
    found = {route.name for route in routes() if is_public(route)}
    assert found == PUBLIC.keys()


def test_T03_every_test_that_a_row_names_is_there() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    named = {reason for reason in PUBLIC.values() if reason != ALIKE}
    assert [name for name in sorted(named) if f"def {name}(" not in sources] == []


# ── ids ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def neighbour() -> User:
    """Whose things must look as if they were not there."""
    return make_owner(make_other_merchant(), "neighbour")


def terminal(neighbour: User) -> object:
    return pair_on_paper(make_terminal(neighbour.merchant)).terminal.pk


def case(neighbour: User) -> object:
    assert neighbour.merchant is not None
    ticket = tickets.open_about_shop(neighbour.merchant, "code", "No text comes", "Not for them.")
    ticket.entries.create(author="merchant", text="ours")
    return ticket.number


def session(neighbour: User) -> object:
    key = signed_in(neighbour).session.session_key
    row = BrowserSession.objects.latest("expire_date")
    assert key and row.user_id in (None, neighbour.pk)
    return row.pk


def browser(neighbour: User) -> object:
    return KnownBrowser.objects.create(
        merchant=make_other_merchant(), user=neighbour, digest="d", expires_at=timezone.now()
    ).pk


def passkey(neighbour: User) -> object:
    return Passkey.objects.create(user=neighbour, name="key", credential_id="c", public_key=b"k").pk


def address(neighbour: User) -> object:
    return Address.objects.create(
        merchant=make_other_merchant(), kind=Address.Kind.EMAIL, value="a@example.com"
    ).pk


def change(neighbour: User) -> object:
    return AddressChange.objects.create(
        merchant=make_other_merchant(),
        what=AddressChange.What.NEW,
        state=AddressChange.State.STANDING,
        ends_at=timezone.now() + timedelta(hours=72),
    ).number


# First letters of an owner's address → the neighbour's thing that its id would name.
THINGS: dict[str, Callable[[User], object]] = {
    "/terminals/": terminal,
    "/start/": terminal,
    "/account/sessions/": session,
    "/account/browsers/": browser,
    "/account/passkeys/": passkey,
    "/support/tickets/": case,
    "/proofs/at/": address,
    "/proofs/undo/": change,
}


@pytest.mark.django_db
def test_T03_what_belongs_to_a_neighbour_is_as_missing_as_what_never_was(neighbour: User) -> None:
    owner = make_owner(make_shop().terminal.store.merchant)
    compared = 0
    for route in routes():
        thing = next((make for start, make in THINGS.items() if route.path.startswith(start)), None)
        if not route.kinds or thing is None:
            continue
        foreign = route.path.replace(sample_of(route), str(thing(neighbour)))
        for method in ("get", "post"):
            # Some headers tell the second, which may end between two answers.
            with time_machine.travel(timezone.now(), tick=False):
                answers = [answered(owner, method, path) for path in (route.path, foreign)]
            assert answers[0] == answers[1], foreign
            assert answers[0][0] in (302, 404, 405), foreign
            compared += 1
        Passkey.objects.all().delete()
        KnownBrowser.objects.all().delete()
        Address.objects.all().delete()
    assert compared >= 30


def answered(owner: User, method: str, path: str) -> tuple[object, ...]:
    """What is seen of the answer to somebody who has just signed in, but for the address they named."""
    *seen, content = look(getattr(signed_in(owner), method)(path))
    return *seen, content.replace(path.encode(), b"*").replace(quote(path, safe="").encode(), b"*")


@pytest.mark.django_db
def test_T03_every_address_of_an_owner_with_an_id_is_compared() -> None:
    """What the test above does not walk is named here, with what its id is."""
    others = {
        route.name
        for route in routes()
        if route.kinds and not route.path.startswith((*THINGS, "/admin/", "/prove/"))
    }
    assert others == {
        "set_language",  # a language
        "terminal-v1:get_keyset",  # a number counted from 1, and every keyset may be read
        "terminal-v1:state",  # of a recovery, asked with the bearer of its own terminal
        "portal:sms_callback",  # 96 random bits, and a signature besides
        "recovery:phone",  # the code on a screen
        *("recovery:partner_ticket", "recovery:partner_merchant", "recovery:partner_decide"),  # test_partners
        "recovery:follow_photo",  # of a ticket that a code opened here; strangers are sent there
        "terminals:directory_sticker",  # an entry that everybody may look up
    }


def sample_of(route: Route) -> str:
    """The id in the address that stands for nothing."""
    return next(SAMPLES[kind] for kind in route.kinds.values() if kind != "OperatorNumber")
