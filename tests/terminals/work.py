"""Short ways to say what the rooms above do to commands."""

from __future__ import annotations

from typing import Any

from terminals import commands, delivery, inbox
from terminals.models import Command, Terminal
from terminals.protocol import SET_CREDENTIAL
from tests.cast import PairedTill

PASSWORD = "719402"


def reset(till: PairedTill, operator: str = "03", **more: Any) -> Command:
    """Issue a reset as a finished recovery does."""
    more = {"sealed_password": PASSWORD, "requested_by": "user:1", **more}
    return commands.issue(till.terminal, SET_CREDENTIAL, operator_number=operator, **more)


def delivered(till: PairedTill, operator: str = "03", **more: Any) -> Command:
    """A reset that lies in the terminal's inbox."""
    command = reset(till, operator, **more)
    assert delivery.deliver(command.pk)
    return fresh(command)


def fresh(command: Command) -> Command:
    """The command as the database has it now."""
    return Command.objects.get(pk=command.pk)


def tokens_in_inbox(terminal: Terminal) -> list[str]:
    """What the terminal would be handed, from Redis alone."""
    return [item.token for item in inbox.read(terminal.pk).items]
