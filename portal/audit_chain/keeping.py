"""The hourly run: everything sealed, the head signed, and staff told where that fails."""

from __future__ import annotations

from datetime import datetime, timedelta

from portal.alarms import raise_alarm
from portal.audit import Tag
from portal.audit_chain import heads, links
from portal.audit_chain.keyfile import NoAuditKey

LATE = timedelta(minutes=10)


def keep(now: datetime) -> None:
    """Seal what waits and sign the newest link; an alarm when links came late or the key is missing."""
    since = links.waiting_since()
    links.seal(everywhere=True)
    reason = "late" if since and now - since > LATE and heads.was_signed() else ""
    try:
        heads.sign(now)
    except NoAuditKey:
        reason = "no-key"
    if reason:
        raise_alarm(Tag.TRAIL_UNSIGNED, reason=reason)
