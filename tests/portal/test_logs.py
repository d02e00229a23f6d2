"""Nothing that is a secret or a person gets into a log line."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from portal.logs import MASK, logging_config, redact, scrub_text

PHONE, CODE, BEARER = "+8613800002046", "482917", "eyJhbGciOiJFZDI1NTE5In0.eyJzdWIiOiJ0cm1fMSJ9.c2lnbmF0dXJl"


TELLING = """phone code password new_password token authorization cookie session_key csrf body
    args kwargs otp_token pepper sealed SECRET_KEY Authorization""".split()


@pytest.mark.parametrize("key", TELLING)
def test_a_value_under_a_telling_key_is_masked(key: str) -> None:
    assert redact(None, "info", {"event": "x", key: "482917"}) == {"event": "x", key: MASK}


@pytest.mark.parametrize(
    "text",
    [
        f"sent to {PHONE} now",
        "sent to 13800002046 now",
        f"got {BEARER}",
        "Authorization: Bearer abc.def",
        f"https://example.test/?to={PHONE}",
        "GET /t/BCDFGHJK",
        "/lang/en?next=/t/bcdf-ghjk",
    ],
)
def test_a_text_loses_what_looks_like_a_phone_or_a_token(text: str) -> None:
    scrubbed = scrub_text(text)
    assert MASK in scrubbed
    assert not any(part in scrubbed for part in ("13800002046", "eyJ", "abc.def", "DFGH", "bcdf"))


def test_numbers_that_are_no_phones_stay() -> None:
    text = "merchant 898440158120031 terminal A0012345 after 1.234 s, 2026-11-24"
    assert scrub_text(text) == text


def test_an_http_status_may_be_called_code() -> None:
    seen = redact(None, "info", {"event": "request_finished", "code": 503})
    assert seen["code"] == 503
    assert redact(None, "info", {"event": "x", "code": 482917})["code"] == MASK


def test_secrets_inside_lists_and_dicts_are_found() -> None:
    seen = redact(None, "info", {"event": "x", "facts": [{"to": PHONE, "code": CODE, "n": 3}, (BEARER,)]})
    assert seen["facts"] == [{"to": MASK, "code": MASK, "n": 3}, [MASK]]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a process writes at DEBUG; the handlers of the test run are put back afterwards."""
    root, out = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logging.config.dictConfig(logging_config("DEBUG"))
    root.handlers[0].stream = out  # type: ignore[attr-defined]
    yield out
    root.handlers[:], root.level = handlers, level


def written(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_every_line_is_one_json_object(lines: io.StringIO) -> None:
    structlog.get_logger("portal.test").info("sms_sent", message="m1", phone=PHONE)
    logging.getLogger("some.library").warning("could not reach %s", PHONE)
    ours, theirs = written(lines)
    assert ours | {"event": "sms_sent", "level": "info", "logger": "portal.test", "phone": MASK} == ours
    assert theirs["event"] == f"could not reach {MASK}"


def test_a_traceback_is_scrubbed_too(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"bad number {PHONE}")
    except ValueError:
        structlog.get_logger("portal.test").exception("failed")
    (line,) = written(lines)
    assert "ValueError" in line["exception"]
    assert "13800002046" not in json.dumps(line)


@pytest.mark.parametrize("name", ["twilio.http_client", "urllib3.connectionpool", "celery.worker.strategy"])
def test_talkative_libraries_are_silent_below_a_warning(lines: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("POST body with everything in it")
    logging.getLogger(name).debug("more of it")
    assert lines.getvalue() == ""


def test_what_stands_behind_a_path_is_not_written() -> None:
    assert "0000" not in scrub_text("GET /admin/portal/merchant/?q=138+0000+2046")
