"""The ground tables: merchants, stores, people, proofs, messages, counters and the audit trail."""

from portal.models.audit import AuditEvent
from portal.models.guards import Allowance, Circuit
from portal.models.merchants import (
    Merchant,
    Store,
    User,
    new_public_id,
    phone_digest,
    validate_merchant_number,
)
from portal.models.messages import Challenge, Channel, Message
from portal.models.proofs import Address, AddressChange, Invitation, KnownBrowser, Passkey, RecoveryCode

__all__ = [
    "Address",
    "AddressChange",
    "Allowance",
    "AuditEvent",
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
