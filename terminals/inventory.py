"""What a terminal tells about itself in `PUT inventory` (protocol §6)."""

from __future__ import annotations

from dataclasses import asdict

from django.utils import timezone

from terminals.claims import Inventory
from terminals.models import Terminal, TerminalStatus


def store(terminal: Terminal, inventory: Inventory) -> None:
    """Keep the newest inventory; it informs people and decides nothing."""
    facts = {"inventory": asdict(inventory), "inventory_at": timezone.now()}
    if inventory.unsettled_batch is not None:
        facts["unsettled_batch"] = inventory.unsettled_batch
    if inventory.battery is not None:
        facts["battery"] = inventory.battery
    TerminalStatus.objects.update_or_create(terminal=terminal, defaults=facts)
    Terminal.objects.filter(pk=terminal.pk).exclude(firmware=inventory.fw).update(firmware=inventory.fw)
