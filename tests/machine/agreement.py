"""What must be true of both sides when everything is mended and nothing is under way any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from terminals.models import Command, CommandEvent, TerminalAlert
from terminals.protocol import APPLIED, REJECTED, VOID

# A terminal that says so has understood the command and will never carry it out under another number or key.
CURABLE = ("seq_replayed", "seq_gap", "wrong_key", "unknown_key", "bad_signature")


def both_sides_agree(terminal_id: str, done: Collection[str], rewound: Collection[str]) -> None:
    """What the server calls applied, the terminal carried out, and the other way round.

    `rewound` is what was carried out before the server was put back. A command of these that is issued again
    is heard again; one that was withdrawn, replaced or sealed to an old key before that is not, and a person
    is told by an alert (docs/terminal-protocol.md, Numbers).
    """
    known = Command.objects.filter(terminal_id=terminal_id).exclude(kind=VOID)
    said = set(known.filter(state=APPLIED).values_list("pk", flat=True))
    carried_out = set(known.filter(pk__in=done).values_list("pk", flat=True))
    lost = Command.objects.filter(pk__in=rewound).exclude(state__in=(APPLIED, REJECTED))
    unheard = set(lost.values_list("pk", flat=True))
    assert said == carried_out - unheard, "the two disagree on what was applied"


def newest_wins(issued: Sequence[tuple[str, str, str]], done: Sequence[str]) -> None:
    """`issued` are commands with operator and password, `done` is what was carried out; both in order."""
    order = [command for command, _, _ in issued]
    for number in {operator for _, operator, _ in issued}:
        mine = {command for command, operator, _ in issued if operator == number}
        carried_out = [command for command in done if command in mine]
        assert carried_out == sorted(carried_out, key=order.index), "an older password replaced a newer one"


def nothing_counts_twice(terminal_id: str) -> None:
    """However often a receipt came, what it says happened once."""
    told = CommandEvent.objects.filter(command__terminal_id=terminal_id, to_state=APPLIED)
    commands = list(told.values_list("command_id", flat=True))
    assert len(commands) == len(set(commands)), "a receipt was accepted twice"


def nobody_contradicts_himself(terminal_id: str) -> None:
    """What a terminal said of a command it never took back."""
    kind = TerminalAlert.Kind.RECEIPT_CONFLICT
    facts = TerminalAlert.objects.filter(terminal_id=terminal_id, kind=kind).values_list("facts", flat=True)
    assert not facts, f"two receipts contradict each other: {list(facts)}"


def nothing_is_lost_to_a_number(terminal_id: str) -> None:
    """What was refused for its number or its key was issued again, until the terminal could judge it."""
    refused = Command.objects.filter(terminal_id=terminal_id, state=REJECTED, reason__in=CURABLE)
    lost = refused.exclude(kind=VOID).values_list("kind", "reason", "attempt")
    assert not lost, f"given up for a number or a key: {list(lost)}"
