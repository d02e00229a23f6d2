"""Registered terminals, the operators on them, the commands sent to them and the receipts they return."""

from terminals.models.alerts import TerminalAlert
from terminals.models.commands import Command, CommandEvent, CommandToken, Receipt, new_command_id
from terminals.models.directory import DirectoryEntry, DirectoryKey, DirectoryNumber
from terminals.models.keys import IssuerKey, Keyset, PairingCode
from terminals.models.registry import (
    EnrollmentBatch,
    Operator,
    Terminal,
    TerminalModel,
    TerminalStatus,
    new_terminal_id,
)
from terminals.models.requests import OfflineUnlock, RecoveryRequest, new_request_id

__all__ = [
    "Command",
    "CommandEvent",
    "CommandToken",
    "DirectoryEntry",
    "DirectoryKey",
    "DirectoryNumber",
    "EnrollmentBatch",
    "IssuerKey",
    "Keyset",
    "OfflineUnlock",
    "Operator",
    "PairingCode",
    "Receipt",
    "RecoveryRequest",
    "Terminal",
    "TerminalAlert",
    "TerminalModel",
    "TerminalStatus",
    "new_command_id",
    "new_request_id",
    "new_terminal_id",
]
