"""What the admin may not do: rows that are kept, and rows that are only read."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class Kept:
    """Rows that history hangs on: nobody deletes one."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


class ReadOnly(Kept):
    """Rows that people look at and only the code changes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds one by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits one."""
        return False
