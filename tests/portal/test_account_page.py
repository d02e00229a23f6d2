"""An owner's account page: where one is signed in and which browsers are known; each can be ended there."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.conf import LazySettings, settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from portal import browsers, known_browsers, tasks
from portal.devices import TOTPDevice
from portal.models import AuditEvent, BrowserSession, KnownBrowser, Message, User
from tests.cast import make_merchant, make_other_merchant, make_owner, make_staff, signed_in
from tests.portal.signing_in import enter
from tests.portal.test_devices import code_now

pytestmark = pytest.mark.django_db
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile"
DESK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0"


@pytest.fixture(autouse=True)
def wide_limits(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"sign-in": "10000/hour", "password-per-account-and-address": "10000/hour"}


@pytest.fixture
def owner() -> User:
    return make_owner()


def come_in(
    owner: User, agent: str = PHONE, address: str = "198.51.100.7", client: Client | None = None
) -> Client:
    """Sign in with password and app, as a browser of this kind from there."""
    TOTPDevice.objects.update(last_step=-1)
    client = client or Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    client.post("/sign-in", {"username": owner.username, "password": "correct horse battery staple"})
    app = TOTPDevice.objects.get(user=owner)
    assert client.post("/sign-in/code", {"code": code_now(app)}).headers["Location"] == "/home"
    return client


def is_in(client: Client) -> bool:
    return client.get("/home").status_code == 200


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_lists_where_one_is_signed_in(owner: User) -> None:
    phone = come_in(owner)
    come_in(owner, DESK, "203.0.113.9")
    come_in(make_owner(make_other_merchant(), "neighbour"), DESK, "192.0.2.1")
    listed = phone.get("/account").context["sessions"]
    assert sorted((one.browser, one.block) for one in listed) == [
        ("Chrome · Android", "198.51.100.0/24"),
        ("Edge · Windows", "203.0.113.0/24"),
    ]
    page = phone.get("/account").content.decode()
    assert "198.51.100.7" not in page
    assert "192.0.2" not in page


def test_one_is_ended_and_the_others_stay(owner: User) -> None:
    phone, desk = come_in(owner), come_in(owner, DESK)
    row = BrowserSession.objects.get(browser="Edge · Windows").pk
    phone.post(f"/account/sessions/{row}/end")
    assert is_in(phone)
    assert not is_in(desk)
    assert AuditEvent.objects.get(tag="portal:account:sessions-ended").facts == {"count": 1}


def test_all_others_are_ended_at_once(owner: User) -> None:
    phone, others = come_in(owner), [come_in(owner, DESK) for _ in range(3)]
    neighbour = come_in(make_owner(make_other_merchant(), "neighbour"))
    phone.post("/account/sessions/end")
    assert is_in(phone)
    assert is_in(neighbour)
    assert not any(is_in(one) for one in others)


def test_ones_own_is_ended_like_any_other(owner: User) -> None:
    phone = come_in(owner)
    row = BrowserSession.objects.get(user=owner).pk
    assert phone.post(f"/account/sessions/{row}/end").headers["Location"] == "/signed-out"
    assert not is_in(phone)


def test_nobody_ends_a_session_of_somebody_else(owner: User) -> None:
    phone = come_in(owner)
    neighbour = come_in(make_owner(make_other_merchant(), "neighbour"))
    neighbour.post(f"/account/sessions/{BrowserSession.objects.get(user=owner).pk}/end")
    assert is_in(phone)
    assert phone.get("/account/sessions/end").status_code == 405


def test_what_is_listed_opens_no_session(owner: User) -> None:
    come_in(owner)
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = BrowserSession.objects.get(user=owner).pk
    assert not is_in(thief)


def test_a_session_that_fell_asleep_is_not_listed(owner: User) -> None:
    come_in(owner, DESK)
    with time_machine.travel(timezone.now() + timedelta(minutes=31)):
        phone = come_in(owner)
        assert [one.browser for one in phone.get("/account").context["sessions"]] == ["Chrome · Android"]


def test_sessions_that_are_over_are_swept(owner: User) -> None:
    come_in(owner)
    with time_machine.travel(timezone.now() + timedelta(hours=9)):
        tasks.sweep_limits()
    assert not BrowserSession.objects.exists()


def test_a_browser_that_has_not_signed_in_is_nobodys(client: Client, owner: User) -> None:
    client.post("/sign-in", {"username": "owner", "password": "correct horse battery staple"})
    row = BrowserSession.objects.get()
    assert (row.user, row.browser, row.block, row.seen_at) == (None, "", "", None)


# ── browsers ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_browser_is_told_to_the_phone_once(owner: User) -> None:
    phone = come_in(owner)
    come_in(owner, client=phone)
    notices = Message.objects.filter(template="new-browser")
    assert [one.phone for one in notices.all()] == [owner.phone]
    come_in(owner, DESK)
    assert notices.count() == 2
    assert AuditEvent.objects.filter(tag="portal:account:new-browser").count() == 2


def test_a_browser_known_from_a_reset_is_new_when_somebody_signs_in_with_it(owner: User) -> None:
    phone, merchant = Client(HTTP_USER_AGENT=PHONE), make_merchant()
    answer = HttpResponse()
    known_browsers.remember(phone.get("/privacy").wsgi_request, answer, merchant, merchant.phone)
    phone.cookies[settings.KNOWN_COOKIE_NAME] = answer.cookies[settings.KNOWN_COOKIE_NAME].value
    come_in(owner, client=phone)
    assert Message.objects.filter(template="new-browser").count() == 1
    page = phone.get("/account")
    assert [one.user for one in page.context["browsers"]] == [owner, None]


def test_a_forgotten_browser_is_new_again(owner: User) -> None:
    phone = come_in(owner)
    answer = phone.post(f"/account/browsers/{KnownBrowser.objects.get().pk}/forget")
    assert answer.headers["Location"] == "/account"
    assert is_in(phone)
    come_in(owner, client=phone)
    assert Message.objects.filter(template="new-browser").count() == 2


def test_nobody_forgets_a_browser_of_somebody_else(owner: User) -> None:
    come_in(owner)
    neighbour = signed_in(make_owner(make_other_merchant(), "neighbour"))
    for pk in (KnownBrowser.objects.get().pk, 10**30):
        assert neighbour.post(f"/account/browsers/{pk}/forget").status_code == 404
    assert KnownBrowser.objects.exists()


def test_support_signing_in_makes_no_browser_of_a_shop_known(client: Client) -> None:
    make_staff()
    enter(client, "staff")
    assert SESSION_KEY in client.session
    assert not KnownBrowser.objects.exists()


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (PHONE, "Chrome · Android"),
        (DESK, "Edge · Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1 Mobile MicroMessenger/8.0",
            "WeChat · iPhone",
        ),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1 Version/17 Safari/605.1", "Safari · macOS"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox · Linux"),
        ("curl/8.0", ""),
        ("", ""),
    ],
)
def test_browsers_have_names_that_people_know(agent: str, name: str) -> None:
    assert browsers.name_of(agent) == name
