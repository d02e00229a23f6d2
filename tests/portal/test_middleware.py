"""The headers that every answer carries."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client
from django.urls import resolve


def policy(client: Client, path: str = "/healthz") -> dict[str, str]:
    header = client.get(path).headers["Content-Security-Policy"]
    parts = (part.strip().partition(" ") for part in header.split(";"))
    return {name: value for name, _, value in parts}


def test_the_content_policy_starts_from_nothing_and_allows_only_ourselves(client: Client) -> None:
    allowed = policy(client)
    assert allowed["default-src"] == "'none'"
    assert {allowed[name] for name in ("base-uri", "frame-ancestors", "object-src")} == {"'none'"}
    assert {value for name, value in allowed.items() if value} <= {"'none'", "'self'"}


def test_the_content_policy_has_nothing_unsafe(client: Client) -> None:
    assert "unsafe" not in client.get("/healthz").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Cache-Control", "no-store"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
    ],
)
def test_every_answer_carries_it(client: Client, name: str, value: str) -> None:
    assert client.get("/healthz").headers[name] == value


def test_referrers_stay_with_us(client: Client) -> None:
    assert client.get("/healthz").headers["Referrer-Policy"] in {"no-referrer", "same-origin"}


def test_no_page_gets_at_cameras_or_places(client: Client) -> None:
    header = client.get("/healthz").headers["Permissions-Policy"]
    assert {"camera=()", "microphone=()", "geolocation=()"} <= {part.strip() for part in header.split(",")}


def test_cookies_are_bound_to_the_origin_when_it_is_https() -> None:
    assert settings.SESSION_COOKIE_HTTPONLY and settings.CSRF_COOKIE_HTTPONLY
    assert settings.SESSION_COOKIE_SAMESITE == "Lax"
    assert settings.SESSION_COOKIE_SECURE is settings.SECURE


def test_the_root_address_leads_to_the_recovery() -> None:
    assert resolve("/").view_name == "recovery:identify"


@pytest.mark.parametrize("codec", ["unicode_escape", "utf-7", "hex", "rot13", "idna", "undefined"])
@pytest.mark.parametrize("path", ["/", "/sign-in", "/support"])
def test_a_form_in_another_encoding_is_refused(client: Client, path: str, codec: str) -> None:
    body = b'--XX\r\nContent-Disposition: form-data; name="phone"\r\n\r\n\\ud800\r\n--XX--\r\n'
    kind = f"multipart/form-data; charset={codec}; boundary=XX"
    answer = client.generic("POST", path, body, content_type=kind)
    assert answer.status_code == 400
