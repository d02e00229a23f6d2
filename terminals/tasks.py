"""Celery doors of the terminals: one opaque id in, no logic here."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from terminals import delivery
from terminals.directory import entries
from terminals.keys import revocation
from terminals.life import lives
from terminals.polling import seen


@shared_task
def deliver(command_id: str) -> None:
    """Sign one command and put it into its terminal's inbox."""
    delivery.deliver(command_id)


@shared_task
def sweep() -> None:
    """Make good what got lost."""
    delivery.sweep()
    revocation.sweep()


@shared_task
def sweep_lives() -> None:
    """End what a terminal's life has a clock for."""
    lives.sweep()


@shared_task
def remind_directory() -> None:
    """Have a case opened for entries of the contact directory that nobody has confirmed for long."""
    entries.remind(timezone.now())


@shared_task
def copy_seen() -> None:
    """Bring the rows up to date with what terminals said when they called."""
    seen.copy()
