"""Could a reset be carried out right now? Exits with 1 and names what is missing when it could not."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.health import state


class Command(BaseCommand):
    """What /readyz says, for health checks of processes that serve no pages."""

    help = "Ask database, Redis, worker and signing key whether a reset could be carried out."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask each part once."""
        missing = [name for name, fine in state().items() if not fine]
        if missing:
            raise CommandError(f"not ready: {', '.join(missing)}")
        self.stdout.write("ready")
