"""What each message of the terminal protocol contains, and strict readers for it."""

from terminals.claims.auth import AuthClaims, parse_auth
from terminals.claims.commands import CommandClaims, SealedPlaintext, parse_command, parse_sealed
from terminals.claims.enrollment import (
    Challenge,
    EnrollClaims,
    KeyrollClaims,
    PossessionClaims,
    parse_challenge,
    parse_confirm,
    parse_enroll,
    parse_keyroll,
    parse_possession,
)
from terminals.claims.inventory import Inventory, InventoryOperator, parse_inventory
from terminals.claims.keysets import IssuerKeyEntry, KeysetClaims, parse_keyset
from terminals.claims.receipts import ReceiptClaims, parse_receipt, parse_receipt_batch
from terminals.claims.recoveries import parse_recovery_start

__all__ = [
    "AuthClaims",
    "Challenge",
    "CommandClaims",
    "EnrollClaims",
    "Inventory",
    "InventoryOperator",
    "IssuerKeyEntry",
    "KeyrollClaims",
    "KeysetClaims",
    "PossessionClaims",
    "ReceiptClaims",
    "SealedPlaintext",
    "parse_auth",
    "parse_challenge",
    "parse_command",
    "parse_confirm",
    "parse_enroll",
    "parse_inventory",
    "parse_keyroll",
    "parse_keyset",
    "parse_possession",
    "parse_receipt",
    "parse_receipt_batch",
    "parse_recovery_start",
    "parse_sealed",
]
