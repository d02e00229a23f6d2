"""`manage.py auditkey`: make the key that signs heads of the audit trail, and print its public half."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.audit_chain import keyfile


class Command(BaseCommand):
    """Make it where there is none."""

    help = "Make the key that signs the audit trail, unless it is there, and print its public half."

    def add_arguments(self, parser: CommandParser) -> None:
        """The folder of the issuer keys."""
        parser.add_argument("folder", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the public key in hex, which verifyaudit takes as `--key`."""
        path = options["folder"] / keyfile.KEY_FILE
        try:
            with suppress(FileExistsError):
                keyfile.make_key(path)
            key = keyfile.load_from(path)
        except (OSError, keyfile.NoAuditKey) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(keyfile.public_half(key))
