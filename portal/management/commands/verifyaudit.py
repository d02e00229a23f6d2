"""`manage.py verifyaudit`: is the audit trail as it was? It reads only."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from portal.audit_chain import fence, heads, verify
from portal.models import AuditEvent, AuditLink

SHOWN = 20


class Command(BaseCommand):
    """Check links, events and heads."""

    help = "Check that no event of the audit trail was deleted, edited, moved or cut off."

    def add_arguments(self, parser: CommandParser) -> None:
        """What is kept outside the database."""
        parser.add_argument("--head", type=Path, action="append", default=[], help="lines of exportaudit")
        parser.add_argument("--key", help="the public key that must have signed every head, of auditkey")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Say what was checked; fails with the first twenty problems."""
        try:
            kept = [heads.read(line) for path in options["head"] for line in path.read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise CommandError(f"a head cannot be read: {error}") from error
        gaps = (f"the database lets rows be changed: {name} is missing" for name in fence.missing(connection))
        found = list(islice(chain(verify.problems(kept, options["key"]), gaps), SHOWN))
        if found:
            raise CommandError("\n".join(found))
        signed = heads.newest()
        waiting = AuditEvent.objects.filter(link__isnull=True).count()
        self.stdout.write(
            f"{AuditLink.objects.count()} links are whole, {waiting} events wait for theirs; "
            + (
                f"signed up to link {signed.seq} at {signed.signed_at} by {signed.key}"
                if signed
                else "no head yet"
            )
        )
