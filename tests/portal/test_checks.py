"""Each system check can fail, under its own id, and production settings pass them all."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import override_settings

from portal import checks

WRONG: dict[str, dict[str, Any]] = {
    "rekey.E001": {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", "ATOMIC_REQUESTS": True}}
    },
    "rekey.E002": {"SMS_GATEWAY": "console", "REKEY_DEMO": False},
    "rekey.E003": {"SECRET_KEY": "short"},
    "rekey.E004": {"REKEY_PEPPER": base64.b64encode(b"short").decode()},
    "rekey.E005": {"REKEY_FIELD_KEY": "not base64"},
    "rekey.E006": {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}}}},
    "rekey.E007": {"REKEY_ROLE": "web", "REKEY_ISSUER_KEY_FILE": "/run/secrets/issuer_key"},
    "rekey.E008": {"REKEY_ROLE": "cashier"},
    "rekey.E009": {"SMS_GATEWAY": "pigeon"},
    "rekey.E010": {"SMS_GATEWAY": "twilio"},
    "rekey.E011": {"REKEY_ORIGIN": "https://rekey.example/portal"},
    "rekey.E012": {"REKEY_ORIGIN": "http://rekey.example", "REKEY_DEMO": False},
    "rekey.W013": {"REKEY_ORIGIN": "https://rekey.example", "REKEY_TRUSTED_PROXIES": 0},
    "rekey.W015": {"REDIS_URL": "unix:///nowhere/redis.sock"},
}


def ids() -> set[str]:
    found = run_checks(tags=[checks.TAG], include_deployment_checks=True)
    return {str(message.id) for message in found}


@pytest.mark.parametrize("wanted", WRONG)
def test_what_is_wrong_is_found_by_its_id(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wanted not in ids()
    # Not override_settings: it warns about DATABASES, which no check opens.
    for name, value in WRONG[wanted].items():
        monkeypatch.setattr(settings, name, value)
    assert wanted in ids()


def test_an_empty_secret_key_is_found() -> None:
    with override_settings(SECRET_KEY=""):
        assert "rekey.E003" in ids()


def test_a_redis_that_evicts_is_found(redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert "rekey.E014" in ids()
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    "origin", ["ftp://a.example", "https://", "https://u@a.example", "a.example", "https://a/"]
)
def test_an_origin_with_anything_more_or_less_is_refused(origin: str) -> None:
    with override_settings(REKEY_ORIGIN=origin):
        assert "rekey.E011" in ids()


def test_a_worker_may_know_the_signing_key() -> None:
    with override_settings(REKEY_ROLE="worker", REKEY_ISSUER_KEY_FILE="/run/secrets/issuer_key"):
        assert "rekey.E007" not in ids()


def test_a_process_with_wrong_settings_refuses_to_start_and_says_why() -> None:
    with (
        override_settings(REKEY_ROLE="cashier", SECRET_KEY="short"),
        pytest.raises(ImproperlyConfigured) as refusal,
    ):
        checks.insist()
    assert "rekey.E003" in str(refusal.value)
    assert "rekey.E008" in str(refusal.value)


def test_every_id_is_explained_to_operators() -> None:
    written = (settings.BASE_DIR / "docs" / "operations.md").read_text()
    missing = [name for name in [*WRONG, "rekey.E014"] if name not in written]
    assert missing == []


def production() -> dict[str, str]:
    """The environment of a production process."""
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "SECRET_KEY": "production-would-have-a-random-one-of-fifty-or-more-characters",
        "REKEY_PEPPER": os.environ["REKEY_PEPPER"],
        "REKEY_FIELD_KEY": os.environ["REKEY_FIELD_KEY"],
        "REKEY_ORIGIN": "https://rekey.example",
        "REKEY_TRUSTED_PROXIES": "1",
        "REKEY_VAR": str(settings.REKEY_VAR),
        "REDIS_URL": settings.REDIS_URL,
        "SMS_GATEWAY": "twilio",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "made-up",
        "TWILIO_FROM": "+15005550006",
        "TWILIO_CALLBACK_ORIGIN": "https://rekey.example",
    }


def test_the_deployment_check_is_clean_under_production_settings() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=settings.BASE_DIR,
        env=production(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_checks_pass_under_the_settings_of_these_tests() -> None:
    out = io.StringIO()
    call_command("check", stdout=out)
    assert "no issues" in out.getvalue()
