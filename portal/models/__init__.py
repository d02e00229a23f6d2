"""The ground tables: merchants, stores, people, messages, counters and the audit trail."""

from portal.models.access import BrowserSession, Passkey
from portal.models.audit import AuditEvent, AuditHead, AuditLink
from portal.models.guards import Allowance, Circuit, KnownBrowser
from portal.models.invitations import Invitation
from portal.models.merchants import (
    Merchant,
    Store,
    User,
    new_public_id,
    phone_digest,
    validate_merchant_number,
)
from portal.models.messages import Challenge, Channel, Message
from portal.models.proofs import Address, AddressChange, RecoveryCode

__all__ = [
    "Address",
    "AddressChange",
    "Allowance",
    "AuditEvent",
    "AuditHead",
    "AuditLink",
    "BrowserSession",
    "Challenge",
    "Channel",
    "Circuit",
    "Invitation",
    "KnownBrowser",
    "Merchant",
    "Message",
    "Passkey",
    "RecoveryCode",
    "Store",
    "User",
    "new_public_id",
    "phone_digest",
    "validate_merchant_number",
]
