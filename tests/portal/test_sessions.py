"""The session of somebody signing in: what it holds, when its key changes, when it ends, where it leads."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.utils import timezone

from portal.models import User
from tests.cast import PASSWORD, make_owner
from tests.portal.signing_in import HOME, another, enter, give_password, texted

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wide_limits(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"sign-in": "10000/hour", "password-per-account-and-address": "10000/hour"}


@pytest.fixture
def owner() -> User:
    return make_owner(app=False)


# ── the session ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_session_key_changes_at_each_step_and_the_old_ones_are_dead(owner: User, client: Client) -> None:
    session = client.session
    session["planted"] = True
    session.save()
    keys = [client.session.session_key]
    give_password(client, "owner", "owner")
    keys.append(client.session.session_key)
    client.post("/sign-in/code", {"code": texted()})
    keys.append(client.session.session_key)
    client.post("/sign-out")
    assert len(set(keys)) == 3
    for key in keys:
        stale = Client()
        stale.cookies["rekey_session"] = key or ""
        assert stale.get(HOME).status_code == 302


def test_the_session_never_holds_password_code_or_phone(owner: User, client: Client) -> None:
    give_password(client, "owner", "owner")
    kept = repr(dict(client.session.items()))
    for secret in (PASSWORD, texted(), owner.phone, owner.phone[3:]):
        assert secret not in kept


def test_no_page_prints_a_password_or_a_code_back(owner: User, client: Client) -> None:
    assert "wrong-guess" not in give_password(client, "owner", "owner", "wrong-guess").content.decode()
    give_password(client, "owner", "owner")
    wrong = another(texted())
    page = client.post("/sign-in/code", {"code": wrong}).content.decode()
    assert wrong not in page
    assert PASSWORD not in page


@pytest.mark.parametrize(("minutes", "stays"), [(29, True), (30.1, False)])
def test_half_an_hour_without_activity_signs_out(
    owner: User, client: Client, minutes: float, stays: bool
) -> None:
    enter(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        client.get("/privacy")
        assert (SESSION_KEY in client.session) is stays


def test_activity_keeps_a_session_alive_for_eight_hours_and_no_longer(owner: User, client: Client) -> None:
    enter(client)
    with time_machine.travel(timezone.now()) as clock:
        for _ in range(23):
            clock.shift(20 * 60)
            client.get("/privacy")
        assert SESSION_KEY in client.session
        clock.shift(20 * 60 + 1)
        client.get("/privacy")
        assert SESSION_KEY not in client.session


def test_the_sign_in_page_says_once_why_one_is_out(owner: User, client: Client) -> None:
    enter(client)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        client.get("/privacy")
        said = [[str(m) for m in client.get("/sign-in").context["messages"]] for _ in range(2)]
    assert len(said[0]) == 1
    assert said[1] == []


def test_signing_out_is_a_post_and_ends_the_session_on_the_server(owner: User, client: Client) -> None:
    enter(client)
    key = client.session.session_key
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").headers["Location"] == "/signed-out"
    thief = Client()
    thief.cookies["rekey_session"] = key or ""
    assert thief.get(HOME).status_code == 302


def test_a_changed_password_ends_other_sessions(owner: User, client: Client) -> None:
    enter(client)
    owner.set_password("another long password")
    owner.save()
    assert client.get(HOME).status_code == 302


# ── where it leads afterwards ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
        "https:evil",
        "http:///evil.example", "javascript:alert(1)", "data:text/html,x", "/\r\nX: y", "/a\nb",
        "/\t/evil.example", "\t//evil.example", " //evil.example", "evil.example", "home", "/\u202eevil",
        "/é",
        "",
        "@evil.example", "/" * 600, "http:\\\\evil.example", "/\x00", "/\x1fevil",
    ],
)  # fmt: skip
def test_next_leads_nowhere_else(wanted: str, owner: User, client: Client) -> None:
    answer = enter(client, next=wanted)
    assert answer.headers["Location"] == HOME


def test_next_leads_back_to_a_page_of_ours(owner: User, client: Client) -> None:
    assert client.get("/sign-in?next=/home").context["form"]["next"].value() == HOME
    assert enter(client, next="/terminals/7?tab=2").headers["Location"] == "/terminals/7?tab=2"
