"""Run a terminal in software against a Rekey server."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from terminals.simulator.cli import add_run_arguments, run


class Command(BaseCommand):
    """A door to `terminals.simulator`; it needs no database."""

    help = "Run a terminal in software: pair it once, then let it poll, apply and report."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of the simulator."""
        add_run_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped, with the simulator's exit code."""
        code = run(argparse.Namespace(**options))
        if code:
            sys.exit(code)
