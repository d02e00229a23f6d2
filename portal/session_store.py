"""Sessions in the database under a digest of their key, so that reading the table opens nobody's session."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from portal.models import BrowserSession
from portal.secrets import keyed_digest

KEY_LENGTH = 40
STARTED, SEEN, BROWSER, BLOCK = "signed_in_at", "seen_at", "browser", "block"


def row_key(session_key: str) -> str:
    """The primary key under which the session of this cookie is kept."""
    return keyed_digest("session", session_key)[:KEY_LENGTH]


class SessionStore(DatabaseStore):
    """Django's database store, except that a session's key is known to the browser's cookie only."""

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        """Where sessions are kept."""
        return BrowserSession

    def _get_session_from_db(self) -> BrowserSession | None:
        alive = BrowserSession.objects.filter(expire_date__gt=timezone.now())
        found = alive.filter(session_key=row_key(self.session_key or "")).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        """Whether there is a session of this key."""
        return super().exists(row_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        """The row to store: beside what it holds, what its owner sees of it."""
        row = cast(BrowserSession, super().create_model_instance(data))
        row.session_key = row_key(row.session_key)
        if whose := data.get(SESSION_KEY):
            row.user_id = int(whose)
            row.browser, row.block = data.get(BROWSER, ""), data.get(BLOCK, "")
            row.started_at, row.seen_at = _moment(data.get(STARTED)), _moment(data.get(SEEN))
        return row

    def delete(self, session_key: str | None = None) -> None:
        """Forget the session of this key, by default our own."""
        key = session_key or self.session_key
        if key is not None:
            BrowserSession.objects.filter(session_key=row_key(key)).delete()


def _moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
