"""Who keeps a share of the limits on texts that no stranger can use up (T16)."""

from __future__ import annotations

from recovery.models import Recovery
from terminals.models import RecoveryRequest


def source_of(recovery: Recovery) -> str:
    """The terminal whose screen a recovery was started from; empty for everybody else.

    That the screen belongs to the merchant is for `identity.merchant_for` to say, before anything is sent.
    """
    if not recovery.user_code_digest:
        return ""
    request = RecoveryRequest.objects.filter(user_code_digest=recovery.user_code_digest).first()
    return f"terminal:{request.terminal_id}" if request is not None else ""
