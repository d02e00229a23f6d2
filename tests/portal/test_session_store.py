"""Sessions whose keys are not in the database."""

from __future__ import annotations

import pytest
from django.conf import settings

from portal.models import BrowserSession
from portal.session_store import SessionStore
from tests.cast import make_owner, signed_in

pytestmark = pytest.mark.django_db


def test_a_session_is_found_again_by_its_key_and_its_key_is_in_no_row() -> None:
    store = SessionStore()
    store["who"] = "owner"
    store.save()
    assert store.session_key
    assert SessionStore(store.session_key)["who"] == "owner"
    assert store.exists(store.session_key)
    assert store.session_key not in str(list(BrowserSession.objects.values_list()))


def test_what_is_in_the_table_opens_no_session() -> None:
    store = SessionStore()
    store["who"] = "owner"
    store.save()
    row = BrowserSession.objects.get()
    assert "who" not in SessionStore(row.session_key)


def test_a_key_that_changed_or_ended_opens_nothing() -> None:
    store = SessionStore()
    store["who"] = "owner"
    store.save()
    old = store.session_key
    store.cycle_key()
    assert "who" not in SessionStore(old)
    assert SessionStore(store.session_key)["who"] == "owner"
    store.flush()
    assert not BrowserSession.objects.exists()


def test_signing_in_works_on_it() -> None:
    client = signed_in(make_owner())
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert SessionStore(cookie)["_auth_user_id"]
    assert not BrowserSession.objects.filter(session_key=cookie).exists()
