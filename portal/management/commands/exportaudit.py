"""`manage.py exportaudit`: the newest signed head of the audit trail, to keep outside."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.audit_chain import heads


class Command(BaseCommand):
    """Print one line."""

    help = "Print the newest signed head of the audit trail as a line of JSON, for verifyaudit --head."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print it; fails while nothing is signed."""
        head = heads.newest()
        if head is None:
            raise CommandError("no head is signed yet")
        self.stdout.write(heads.exported(head))
