"""Sessions in the database under a digest of their key, so that reading the table opens nobody's session."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from portal.secrets import keyed_digest

KEY_LENGTH = 40


def row_key(session_key: str) -> str:
    """The primary key under which the session of this cookie is kept."""
    return keyed_digest("session", session_key)[:KEY_LENGTH]


class SessionStore(DatabaseStore):
    """Django's database store, except that a session's key is known to the browser's cookie only."""

    def _get_session_from_db(self) -> Session | None:
        alive = Session.objects.filter(expire_date__gt=timezone.now())
        found = alive.filter(session_key=row_key(self.session_key or "")).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        """Whether there is a session of this key."""
        return super().exists(row_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """The row to store."""
        row = cast(Session, super().create_model_instance(data))
        row.session_key = row_key(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        """Forget the session of this key, by default our own."""
        key = session_key or self.session_key
        if key is not None:
            Session.objects.filter(session_key=row_key(key)).delete()
