"""Odd texts in every field of the contact directory: told in a form or stored, never a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from terminals.models import DirectoryEntry
from tests.cast import signed_in
from tests.terminals.directory import make_confirmed, make_editor, posted

pytestmark = pytest.mark.django_db
ODD = [
    "王" * 10_000,
    "a\x00b",
    "%00",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "=cmd|' /C calc'!A0",
    "\u202eabc",
    "\r\nSet-Cookie: a=b",
    "a" + "\u0301" * 1000,
    "𠀀𠀁",
    "👩‍👩‍👧‍👦",
    "ئۇيغۇر",
    "བོད་",
    "٤٠٠٥٥٥",
    "²²²²",
    "４００５５５０１００",
    "<script>",
    "'; DROP TABLE x; --",
    "\ufffe",
    "\x1b[31m",
    "%",
    "_",
    "\\",
    "''",
    "+",
    "-" * 60,
    "9" * 400,
    "1e309",
    "null",
    "\u2028",
    "〇一二",
    "\ud800",
    "/../..",
    "a b\tc",
    "\u200b\u200b",
    "+86",
    "0086",
    "(((((",
    "RK%' OR 1=1",
    "🀄" * 60,
]


@pytest.fixture
def reader() -> Client:
    """Anybody."""
    return Client()


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_no_text_breaks_a_page(text: str, reader: Client, settings: Any) -> None:
    settings.REKEY_LIMITS = {"directory": "1000/hour"}
    make_confirmed()
    raw = text.encode("utf-8", "surrogatepass")
    for page, field in (("/directory", "what"), ("/directory/number", "number")):
        body = field.encode() + b"=" + b"".join(b"%%%02X" % byte for byte in raw)
        answer = reader.post(page, body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in (200, 400)
        assert b"<script>" not in answer.content.replace(b"<script src", b"")
    assert (
        reader.post("/directory/number", {"number": [body.decode("ascii")[:50], "95599"]}).status_code == 200
    )


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_no_text_breaks_the_editors_form_and_what_is_stored_is_what_is_shown(text: str) -> None:
    desk = signed_in(make_editor("first"))
    text = text.encode("utf-8", "replace").decode()
    facts = {**posted(), "name_zh": text, "name_en": text, "hours_zh": text, "source": text, "web": text}
    for more in ({}, {"web": "", "keys-0-start": text}, {"web": "", "numbers-0-shown": text}):
        answer = desk.post(reverse("admin:terminals_directoryentry_add"), {**facts, **more})
        assert answer.status_code in (200, 302, 400), more
    facts |= {"web": ""}
    if desk.post(reverse("admin:terminals_directoryentry_add"), facts).status_code == 302:
        entry = DirectoryEntry.objects.latest("pk")
        assert entry.name_zh == " ".join(entry.name_zh.split("\n")) and len(entry.name_zh) <= 60
        found = desk.get(reverse("admin:terminals_directoryentry_changelist"), {"q": text})
        assert found.status_code == 200
