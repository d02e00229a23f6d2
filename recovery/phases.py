"""Where a reset is, in one word, and what the page says then: only what is known to be true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.utils.translation import gettext_noop

from recovery import steps
from terminals.commands import CLEARED, HANDED_OVER, UNHEARD
from terminals.health import Health
from terminals.models import Command

State = Command.State
# phase → headline and sentence. `operator`, `number`, `terminal`, `seen`, `pace` are filled in.
WORDS: Mapping[str, tuple[str, str]] = {
    "queued": (
        gettext_noop("Waiting for the terminal"),
        gettext_noop("Seen %(seen)s; it calls about every %(pace)s."),
    ),
    "late": (
        gettext_noop("The terminal should have called by now"),
        gettext_noop("Seen %(seen)s. Look whether it is on and online; the password is kept for 72 hours."),
    ),
    "offline": (
        gettext_noop("Offline: it will fetch this as soon as it connects"),
        gettext_noop("Last seen %(seen)s. Kept for 72 hours; no need to resubmit."),
    ),
    "fetched": (
        gettext_noop("The terminal has it"),
        gettext_noop("If a sale is running it will finish first."),
    ),
    "deferred": (
        gettext_noop("The terminal is busy and will try again"),
        gettext_noop("A sale or a settlement is running. It goes on by itself after %(retry)s."),
    ),
    "choosing": (
        gettext_noop("The terminal asks for the new password now"),
        gettext_noop("%(operator)s chooses it there, within 15 minutes."),
    ),
    "unanswered": (
        gettext_noop("The terminal has stopped asking"),
        gettext_noop("If %(operator)s chose a password there, it holds; if not, the old one still does."),
    ),
    "applied": (
        gettext_noop("The new password is in force. Sign on at the terminal."),
        gettext_noop("At %(terminal)s, enter operator %(number)s, then the new password."),
    ),
    "signed_on": (
        gettext_noop("%(operator)s is in. You can sell again."),
        gettext_noop("All done. Keep the receipt number."),
    ),
    "rejected": (
        gettext_noop("The terminal refused this password"),
        gettext_noop("The old password still holds."),
    ),
    "expired": (
        gettext_noop("The terminal did not come in time"),
        gettext_noop("This reset is over; the old password still holds. Start again when it is online."),
    ),
    "key_changed": (
        gettext_noop("The terminal has a new key: set the password once more"),
        gettext_noop("It was paired again, so nobody can open what you sent. The old password still holds."),
    ),
    "swapped": (
        gettext_noop("The terminal was replaced: set the password once more"),
        gettext_noop("Only the old unit could open what you sent. Set it again for the new one."),
    ),
    "cancelling": (
        gettext_noop("Being withdrawn"),
        gettext_noop("The terminal had fetched it already; it says next whether it was in time."),
    ),
    "cancelled": (
        gettext_noop("Withdrawn"),
        gettext_noop("Nothing was changed; the old password still holds."),
    ),
    "unheard": (
        gettext_noop("The terminal never said what it did"),
        gettext_noop("It had fetched this. Try the new password first; if it fails, the old one holds."),
    ),
    "cleared": (
        gettext_noop("Support has ended this reset"),
        gettext_noop("The terminal had not fetched it; the old password still holds."),
    ),
    "stopped": (
        gettext_noop("The terminal was stopped, and this reset with it"),
        gettext_noop("Nobody can sign on there now. Call support if you did not ask for that."),
    ),
    "superseded": (
        gettext_noop("A newer reset has replaced this one"),
        gettext_noop("Somebody started another one for the same operator. Was it not you? Call support."),
    ),
}
WHY: Mapping[str, str] = {
    "policy_rejected": gettext_noop("Used before, a factory password, or somebody else's on this terminal."),
    "operator_unknown": gettext_noop("This operator is not on the terminal."),
    "user_declined": gettext_noop("Somebody pressed cancel at the terminal, or time ran out."),
    "storage_failed": gettext_noop("The terminal could not store it. It needs a technician."),
    "unsupported_cmd": gettext_noop("This terminal cannot set passwords by itself. It needs an update."),
    "not_yet_valid": gettext_noop("The terminal's clock is wrong."),
    "open_failed": gettext_noop("The terminal could not open it."),
    "key_changed": gettext_noop("The terminal was paired again."),
}
# A terminal that was faster than a withdrawal, or later than the clock.
AFTER_ALL = (
    gettext_noop("The new password is in force after all"),
    gettext_noop("%(terminal)s carried it out all the same. Sign on as %(number)s with the new password."),
)
NEVER_SEEN = gettext_noop("It has not called yet. The password is kept for 72 hours; no need to resubmit.")
OTHER_WHY = gettext_noop("The terminal did not accept it.")
LIPS: Mapping[str, tuple[str, str, str]] = {
    "queued": (
        "wait",
        gettext_noop("Waiting for the terminal"),
        gettext_noop("It only has to be online"),
    ),
    "late": ("wait", gettext_noop("Waiting for the terminal"), gettext_noop("It only has to be online")),
    "offline": ("still", gettext_noop("The terminal is not connected"), ""),
    "fetched": ("go", gettext_noop("Waiting for its receipt"), gettext_noop("Leave the terminal on")),
    "deferred": ("wait", gettext_noop("Waiting for the sale to finish"), ""),
    "choosing": ("go", gettext_noop("Waiting for the choice"), gettext_noop("At the terminal")),
    "cancelling": ("wait", gettext_noop("Waiting for the terminal's answer"), ""),
}
QUEUED_AS = {"online": "queued", "late": "late", "off": "offline", "never": "offline"}
BAD_LINES: Mapping[str, str] = {
    "rejected": gettext_noop("Refused"),
    "expired": gettext_noop("Run out"),
    "key_changed": gettext_noop("Cannot be opened"),
    "cancelled": gettext_noop("Withdrawn"),
    "superseded": gettext_noop("Replaced"),
    "swapped": gettext_noop("Cannot be opened"),
    "cleared": gettext_noop("Ended"),
    "stopped": gettext_noop("Ended"),
    "unheard": gettext_noop("No answer"),
}
# Ends at which the new password is not in force; of "unheard" nobody knows.
RED = frozenset(BAD_LINES)
# The reason a command ended with → the phase that says so, whatever its state.
ENDED_BY: Mapping[str, str] = {
    "key_changed": "key_changed",
    "swapped": "swapped",
    "quarantined": "stopped",
    "revoked": "stopped",
    "wiped": "stopped",
}


def phase_of(command: Command, seen: Health, now: datetime) -> str:
    """The one word for where a command is; finer than its state only where a person would ask."""
    if command.signed_on_at is not None:
        return "signed_on"
    if command.state in (State.QUEUED, State.PENDING_APPROVAL):
        return QUEUED_AS[seen.kind]
    if command.state == State.FETCHED and command.retry_at is not None:
        return "deferred"
    if command.applied_at is not None and command.is_choice:
        return "choosing" if now < command.applied_at + steps.CHOICE_LIFE else "unanswered"
    if command.state in (State.CANCELLED, State.EXPIRED):
        return _ended(command)
    return str(command.state)


def _ended(command: Command) -> str:
    """How a command ended that was withdrawn, ran out, or was ended by us."""
    if command.reason == HANDED_OVER:
        return "cancelling"
    if command.reason in ENDED_BY:
        return ENDED_BY[command.reason]
    if command.reason == UNHEARD or (command.state == State.EXPIRED and command.fetched_at is not None):
        return "unheard"
    return "cleared" if command.reason == CLEARED else str(command.state)
