"""Who keeps a share of the limits that strangers cannot use up: owners, terminals, known browsers (T16)."""

from __future__ import annotations

from portal import known_browsers
from portal.models import KnownBrowser, Merchant
from recovery.models import Recovery
from terminals.models import RecoveryRequest


def source_of(recovery: Recovery, merchant: Merchant | None) -> str:
    """The desk, the owner who is signed in, the terminal whose screen was used, the known browser; or "".

    That the screen belongs to the merchant is for `identity.merchant_for` to say, before anything is sent.
    """
    if merchant is None:
        return ""
    if recovery.door == Recovery.Door.SUPPORT:
        return "desk"
    if recovery.signed_in_user_id is not None:
        return f"user:{recovery.signed_in_user_id}"
    if recovery.user_code_digest:
        request = RecoveryRequest.objects.filter(user_code_digest=recovery.user_code_digest).first()
        return f"terminal:{request.terminal_id}" if request is not None else ""
    browser = known_browser(recovery, merchant)
    return f"browser:{browser.pk}" if browser is not None else ""


def known_browser(recovery: Recovery, merchant: Merchant) -> KnownBrowser | None:
    """The browser of this recovery, if it had proved itself for the shop before."""
    browser = known_browsers.row_of(recovery.known_digest, merchant)
    return browser if browser is not None and browser.first_at < recovery.created_at else None
