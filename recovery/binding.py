"""What ties a recovery to the one browser that started it."""

from __future__ import annotations

import re
import secrets

from portal.secrets import keyed_digest

FORM_KEY = re.compile(r"[A-Za-z0-9_-]{22}")


def new_token() -> str:
    """128 random bits for the browser's cookie; the database keeps only their digest."""
    return secrets.token_urlsafe(16)


def token_for(form_key: str, identifier: str, phone: str) -> str:
    """The cookie of what one printed form asked for.

    A form sent twice, by a double click, a reload or from a second process, names the same recovery, and the
    unique digest in the database lets only one of them in. Without a proper form key the token is random.
    """
    if FORM_KEY.fullmatch(form_key) is None:
        return new_token()
    return keyed_digest("recovery-form", form_key, identifier, phone)[:32]


def digest_of(token: str) -> str:
    """What the database keeps of a cookie; 64 hex characters."""
    return keyed_digest("recovery-browser", token)
