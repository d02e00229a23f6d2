"""`manage.py issuerkeys init`: the root key, the signing key and the first keyset."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from terminals import issuer


class Command(BaseCommand):
    """Makes issuer keys once; running it again changes nothing."""

    help = "Make the root key, the signing key and keyset 1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and where the key files go."""
        parser.add_argument("action", choices=["init"])
        parser.add_argument("--dir", type=Path, default=settings.REKEY_VAR / "issuer")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the root's thumbprint, which terminals pin."""
        keyset = issuer.init_keys(options["dir"])
        self.stdout.write(f"keyset {keyset.version}, root {keyset.root_thumbprint}")
