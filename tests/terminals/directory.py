"""A directory of made-up companies, and the two people who keep it."""

from __future__ import annotations

from typing import Any

from portal.models import User
from portal.roles import Role
from terminals.directory import entries
from terminals.directory.numbers import canonical
from terminals.models import DirectoryEntry, DirectoryKey, DirectoryNumber
from tests.cast import make_member

NUMBER = "400-555-0100"


def make_editor(username: str) -> User:
    """Somebody who may edit the directory and nothing else; the one of this name if there is one."""
    found = User.objects.filter(username=username).first()
    return found or make_member(username, Role.EDITOR)


def make_entry(by: User | None = None, **facts: Any) -> DirectoryEntry:
    """RK, who make the tills of the cast: one number, serial numbers that begin with RK; unconfirmed."""
    by = by or make_editor("first")
    number, keys = facts.pop("number", NUMBER), facts.pop("keys", {"serial": "RK"})
    row = {
        "kind": "brand",
        "name_zh": "示例终端厂",
        "name_en": "Sample Terminals",
        "hours_zh": "每天 8:00–20:00",
        "hours_en": "Daily 8:00–20:00",
        "web": "https://terminals.example",
        "source": "合同第 3 页",
        **facts,
    }
    entry = DirectoryEntry.objects.create(entered_by=by, **row)
    if number:
        DirectoryNumber.objects.create(entry=entry, shown=number, digits=canonical(number), entered_by=by)
    for kind, start in keys.items():
        DirectoryKey.objects.create(entry=entry, kind=kind, start=start, entered_by=by)
    return entry


def make_confirmed(**facts: Any) -> DirectoryEntry:
    """The same, confirmed by a second person just now."""
    entry = make_entry(**facts)
    entries.confirm(entry, make_editor("second").pk, entries.as_seen(entry))
    entry.refresh_from_db()
    return entry


def posted(**more: Any) -> dict[str, Any]:
    """The editor's form, filled in for a new entry."""
    forms = {
        f"{name}-{field}_FORMS": count
        for name in ("numbers", "keys")
        for field, count in (("TOTAL", 1), ("INITIAL", 0), ("MIN_NUM", 0), ("MAX_NUM", 9))
    }
    return {
        "kind": "brand",
        "name_zh": "示例终端厂",
        "name_en": "",
        "hours_zh": "",
        "hours_en": "",
        "web": "",
        "source": "合同",
        "numbers-0-shown": NUMBER,
        "keys-0-kind": "serial",
        "keys-0-start": "rk",
        **forms,
        **more,
    }
