"""What must hold for the support desk before Rekey starts; docs/operations.md says what to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from recovery.desk.hours import read_hours

TAG = "rekey"


@register(TAG)
def the_desk_opens_before_it_closes(**_: Any) -> list[CheckMessage]:
    """E035: without hours no deadline can be told."""
    try:
        read_hours(settings.REKEY_DESK_HOURS)
    except ValueError:
        return [Error("REKEY_DESK_HOURS must look like 09:00-18:00.", id="rekey.E035")]
    return []
