"""The audit trail: a closed vocabulary, told once, never changed."""

from __future__ import annotations

import re

import pytest

from portal.audit import Tag, record
from portal.models import AuditEvent
from tests.cast import make_merchant


@pytest.mark.parametrize("tag", Tag)
def test_every_tag_says_source_subject_and_action(tag: Tag) -> None:
    assert re.fullmatch(r"(portal|terminals|recovery):[a-z-]+:[a-z-]+", tag.value)
    assert len(tag.value) <= 64


@pytest.mark.django_db
def test_an_event_is_told_with_its_facts() -> None:
    merchant = make_merchant()
    record(Tag.SIGN_IN, actor="user:7", merchant=merchant, subject="user:7", factor="sms")
    event = AuditEvent.objects.get()
    assert (event.tag, event.actor, event.merchant, event.subject) == (
        "portal:account:signed-in", "user:7", merchant, "user:7",
    )  # fmt: skip
    assert event.facts == {"factor": "sms"}
    assert "portal:account:signed-in" in str(event)


@pytest.mark.django_db
def test_an_event_is_neither_changed_nor_deleted() -> None:
    event = record(Tag.SIGN_IN, actor="user:7")
    event.actor = "user:8"
    with pytest.raises(ValueError, match="never changed"):
        event.save()
    with pytest.raises(ValueError, match="never deleted"):
        event.delete()
    assert AuditEvent.objects.get().actor == "user:7"
