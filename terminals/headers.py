"""Headers of the terminal protocol: RFC 9651 dictionaries, `Rekey-Telemetry` and `Rekey-Poll` (§3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from terminals.protocol import INT_MAX, TELEMETRY_MAX

_ITEM: Final = re.compile(
    r"(?P<key>[a-z*][a-z0-9_.*-]*)"
    r"(?:=(?:(?P<int>-?[0-9]{1,15})|\"(?P<str>(?:[ !#-\[\]-~]|\\[\"\\])*)\"|\?(?P<bool>[01])"
    r"|(?P<token>[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*)))?"
)
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")


def parse_dictionary(text: str) -> dict[str, int | str | bool] | None:
    """An RFC 9651 dictionary of integers, strings, tokens and booleans; None if it is anything else."""
    members: dict[str, int | str | bool] = {}
    text = text.strip(" ")
    position = 0
    while position < len(text):
        item = _ITEM.match(text, position)
        if item is None:
            return None
        members[item["key"]] = _item_value(item)
        position = item.end()
        if position < len(text):
            comma = _COMMA.match(text, position)
            if comma is None or comma.end() == len(text):
                return None
            position = comma.end()
    return members


def _item_value(item: re.Match[str]) -> int | str | bool:
    if item["int"] is not None:
        return int(item["int"])
    if item["str"] is not None:
        return re.sub(r"\\(.)", r"\1", item["str"])
    if item["token"] is not None:
        return item["token"]
    return item["bool"] != "0"


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a terminal says of itself in `Rekey-Telemetry`. Advisory, never an input to a decision."""

    pv: int | None = None
    fw: str | None = None
    bat: int | None = None
    chg: bool | None = None
    hwm: int | None = None
    ks: int | None = None
    batch: bool | None = None
    idle: bool | None = None

    def header(self) -> str:
        """The header value, members without a value left out."""
        return format_dictionary({name: getattr(self, name) for name in self.__slots__})


_TELEMETRY_TYPES: Final[Mapping[str, type]] = {
    "pv": int, "fw": str, "bat": int, "chg": bool, "hwm": int, "ks": int, "batch": bool, "idle": bool,
}  # fmt: skip


def parse_telemetry(header: str | None) -> Telemetry | None:
    """Read `Rekey-Telemetry`; None when absent or unreadable. Unknown and mistyped members are dropped."""
    if not header or len(header) > TELEMETRY_MAX:
        return None
    members = parse_dictionary(header)
    if members is None:
        return None
    facts: dict[str, Any] = {
        name: members[name] for name, kind in _TELEMETRY_TYPES.items() if type(members.get(name)) is kind
    }
    for name, low, high in (("bat", 0, 100), ("hwm", 0, INT_MAX), ("ks", 0, 2**31 - 1), ("pv", 0, 255)):
        if not low <= facts.get(name, low) <= high:
            del facts[name]
    if len(facts.get("fw", "")) > 40:
        del facts["fw"]
    return Telemetry(**facts)


def format_dictionary(members: Mapping[str, int | str | bool | None]) -> str:
    """Write an RFC 9651 dictionary; members that are None are left out."""
    return ", ".join(f"{key}={_written(value)}" for key, value in members.items() if value is not None)


def _written(value: int | str | bool) -> str:
    if isinstance(value, bool):
        return f"?{int(value)}"
    if isinstance(value, int):
        return str(value)
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def poll_header(interval: int, jitter: int, wait: int, fast_until: int | None = None) -> str:
    """The value of `Rekey-Poll`: seconds, and until when (Unix seconds) the terminal should poll fast."""
    return format_dictionary({"interval": interval, "jitter": jitter, "wait": wait, "fast_until": fast_until})
