"""`manage.py pairingcode <terminal>`: a pairing code on the command line."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

import segno
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from terminals.keys import issuer
from terminals.life import pairing_codes
from terminals.models import Terminal


class Command(BaseCommand):
    """Issues a code for one terminal and prints it with its QR."""

    help = "Issue a pairing code for a terminal, by serial, terminal number or id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which terminal, and whether only the QR text is wanted."""
        parser.add_argument("terminal")
        parser.add_argument("--plain", action="store_true", help="print the QR text and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        """Issue and print. Raises CommandError when there is nothing to pair."""
        name = options["terminal"]
        terminal = Terminal.objects.filter(Q(serial=name) | Q(number=name) | Q(pk=name)).first()
        if terminal is None:
            raise CommandError(f"No terminal has the serial, number or id {name!r}.")
        try:
            code = pairing_codes.create_pairing_code(terminal, "command-line")
        except issuer.NoKeyset:
            raise CommandError(
                "There are no issuer keys yet: run `manage.py issuerkeys init` first."
            ) from None
        except pairing_codes.NotPairable as error:
            raise CommandError(f"The terminal is {error}; it cannot be paired.") from None
        if options["plain"]:
            self.stdout.write(code.qr_text)
            return
        segno.make(code.qr_text, error="m").terminal(out=sys.stdout, compact=True)
        until = timezone.localtime(code.expires_at)
        self.stdout.write(f"{terminal}\n{code.code}   {code.digits}\nvalid once, until {until:%H:%M:%S}")
