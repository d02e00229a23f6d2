"""Try every rule of the terminal protocol on a server or on a terminal."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from terminals.conformance.cli import add_arguments, execute


class Command(BaseCommand):
    """A door to `terminals.conformance`; it needs no database."""

    help = "Test a server (--url, --pairing-code) or a terminal (--listen) rule by rule."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of the kit."""
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Test, print, and exit with 1 if anything failed."""
        code = execute(argparse.Namespace(**options))
        if code:
            sys.exit(code)
