"""Commands: issue, approve, withdraw, supersede, end. Nobody else writes `Command.state` (design D15)."""

from terminals.commands.ending import (
    ATTEMPTS_MAX,
    CLEARED,
    clear,
    end,
    end_all,
    expire_due,
    key_changed,
    readdress,
    reissue,
)
from terminals.commands.guards import GUARDED, CannotApprove, approve
from terminals.commands.issuing import SERVED_IN_QUARANTINE, CannotIssue, is_message, issue
from terminals.commands.moving import FINAL, command_finished, forget, move, settle
from terminals.commands.outcomes import applied, deferred, rejected, signed_on
from terminals.commands.withdrawing import HANDED_OVER, UNHEARD, cancel, mark_fetched
from terminals.protocol import OPEN

__all__ = [
    "ATTEMPTS_MAX",
    "CLEARED",
    "FINAL",
    "GUARDED",
    "HANDED_OVER",
    "OPEN",
    "SERVED_IN_QUARANTINE",
    "UNHEARD",
    "CannotApprove",
    "CannotIssue",
    "applied",
    "approve",
    "cancel",
    "clear",
    "command_finished",
    "deferred",
    "end",
    "end_all",
    "expire_due",
    "forget",
    "is_message",
    "issue",
    "key_changed",
    "mark_fetched",
    "move",
    "readdress",
    "reissue",
    "rejected",
    "settle",
    "signed_on",
]
