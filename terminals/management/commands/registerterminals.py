"""`manage.py registerterminals LIST`: many terminals from a CSV, all or none."""

from __future__ import annotations

import csv
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from terminals.keys import issuer
from terminals.life import bulk
from terminals.life.bulk_reading import BadList
from terminals.models import EnrollmentBatch


class Command(BaseCommand):
    """Registers what is in a list, and prints codes for it on request."""

    help = "Register terminals from a CSV with the columns number, serial, name, model, merchant, store."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which file, and what to do with it."""
        parser.add_argument("list", help="the CSV; - reads from standard input")
        parser.add_argument("--name", default="", help="what to call the batch; else the file's name")
        parser.add_argument("--check", action="store_true", help="say what is wrong and store nothing")
        parser.add_argument(
            "--codes", action="store_true", help="print pairing codes, valid for 12 hours, as CSV"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Register. Raises CommandError with a line for everything that is wrong."""
        source = options["list"]
        try:
            raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
            if options["check"]:
                self.stdout.write(f"{len(bulk.check(raw))} terminals can be registered.")
                return
            batch = bulk.register(raw, (options["name"] or Path(source).stem)[:60], "command-line")
        except OSError as error:
            raise CommandError(f"{source}: {error.strerror}") from None
        except BadList as bad:
            told = [f"line {each.line}: {each.column or 'list'}: {each.text}" for each in bad.problems]
            raise CommandError("\n".join([*told, "Nothing was registered."])) from None
        self.stderr.write(f"{batch.terminals.count()} terminals are registered as batch {batch.pk}.")
        if options["codes"]:
            self._print_codes(batch)

    def _print_codes(self, batch: EnrollmentBatch) -> None:
        try:
            lines = bulk.sheet(batch, "command-line")
        except issuer.NoKeyset:
            raise CommandError(
                "The terminals are registered. For codes run `manage.py issuerkeys init` first."
            ) from None
        writer = csv.writer(self.stdout)
        writer.writerow(["number", "serial", "store", "code", "digits", "qr", "until"])
        for line in lines:
            terminal, code = line.terminal, line.code
            until = code.expires_at.isoformat(timespec="minutes")
            facts = [terminal.number, terminal.serial, terminal.store.name]
            writer.writerow([*facts, code.code, code.digits, code.qr_text, until])
