"""Fixed pages, the language, and what errors look like."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

import portal.urls
from tests.cast import make_merchant, make_owner, signed_in

pytestmark = pytest.mark.django_db

PAGES = ["/sign-in", "/signed-out", "/hotline", "/privacy", "/admin/login/"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_page_is_there_in_both_languages(page: str, language: str) -> None:
    answer = Client(headers={"Accept-Language": language}).get(page)
    assert answer.status_code == 200
    assert answer.headers["Content-Language"] == language


@pytest.mark.parametrize("page", PAGES)
def test_every_page_carries_its_guards(page: str, client: Client) -> None:
    headers = client.get(page).headers
    assert "no-store" in headers["Cache-Control"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer")


def test_the_hotline_page_shows_the_configured_number(client: Client, settings: Any) -> None:
    settings.REKEY_HOTLINE = "400-123-4567"
    assert "400-123-4567" in client.get("/hotline").content.decode()


# ── language ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_link_changes_the_language_and_leads_back(client: Client) -> None:
    answer = client.get("/lang/en?next=/hotline")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/hotline")
    assert client.get("/hotline").headers["Content-Language"] == "en"
    client.get("/lang/zh-hans")
    assert client.get("/hotline").headers["Content-Language"] == "zh-hans"


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", ""]
)
def test_the_language_link_leads_nowhere_else(next: str, client: Client) -> None:
    assert client.get("/lang/en", {"next": next}).headers["Location"] == "/"


@pytest.mark.parametrize("code", ["xx", "zh", "EN", "../en", "en%00"])
def test_a_language_we_do_not_speak_is_no_page(code: str, client: Client) -> None:
    answer = client.get(f"/lang/{code}")
    assert answer.status_code == 404
    assert "rekey_lang" not in answer.cookies


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────


def breaks(request: HttpRequest) -> HttpResponse:
    if request.GET["with"] == "500":
        raise RuntimeError("boom 13800002046")
    raise PermissionDenied if request.GET["with"] == "403" else SuspiciousOperation


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Client:
    urls = type(
        "urls", (), {**vars(portal.urls), "urlpatterns": [path("break", breaks), *portal.urls.urlpatterns]}
    )
    settings.ROOT_URLCONF = urls
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("status", [400, 403, 500])
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_errors_have_pages_that_tell_nothing(status: int, language: str, broken: Client) -> None:
    answer = broken.get(f"/break?with={status}", headers={"Accept-Language": language})
    assert answer.status_code == status
    assert b"boom" not in answer.content
    assert b"<h1" in answer.content


def test_a_page_that_is_not_is_404_for_everybody(client: Client) -> None:
    for path_ in ("/nothing-here", "/admin/nothing/", "/sms/callback/", "/home/../etc", "/%00", "/%ff"):
        assert client.get(path_).status_code in (302, 404), path_
    assert signed_in(make_owner(make_merchant())).get("/nothing-here").status_code == 404


@pytest.mark.parametrize(
    "page", ["/sign-in", "/admin/login/", "/sign-out", "/sign-in/code", "/sign-in/code/resend"]
)
def test_a_form_without_its_token_is_refused_with_a_page(page: str) -> None:
    answer = Client(enforce_csrf_checks=True).post(page, {"username": "x"})
    assert answer.status_code == 403
    assert b"<h1" in answer.content


@pytest.mark.parametrize("page", ["/sign-in", "/admin/login/"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": ""},
        {"username": "x" * 10_000, "password": "y"},
        {"username": "x\x00", "password": "y"},
        {"username": "x", "password": "y" * 10_000},
        {"username": ["a", "b"], "password": "y"},
        {"username": "{{7*7}}\u202e", "password": "\U0001f600"},
    ],
)
def test_odd_input_is_a_form_error_and_never_a_500(page: str, body: dict[str, Any], client: Client) -> None:
    assert client.post(page, body).status_code == 200


def test_a_body_that_is_not_a_form_is_no_500(client: Client) -> None:
    for body in (b"\xff\xfe\x00", b"{", b"a=%zz&b", b"=" * 1000):
        answer = client.post("/sign-in", body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in (200, 400)
    assert client.post("/sign-in", b"x" * 100_000, content_type="text/plain").status_code in (200, 400, 413)
