"""Hears that a command has ended and closes the recovery it came from."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.dispatch import receiver

from recovery import endings
from terminals.commands import command_finished
from terminals.models import Command


@receiver(command_finished, dispatch_uid="recovery-closing")
def close_recovery(sender: Any, command: Command, **_: Any) -> None:
    """The only signal in the house (design §1); lost ones are made good by the sweep."""
    endings.close(command, settings.REKEY_HOTLINE)
