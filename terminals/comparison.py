"""Operators as the terminal sees them beside the list here, and what it found weak (protocol §6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from terminals.models import Command, Operator, Terminal
from terminals.protocol import APPLIED, LOCK, SET_CREDENTIAL, UNLOCK

Entry = Mapping[str, Any]
Found = dict[str, list[str]]


def differences(terminal: Terminal, told: Iterable[Entry]) -> Found:
    """Operator numbers by what is different: unknown, missing, role, unlocked; only what there is.

    `unlocked` are operators whom we locked and who can sign on all the same. One whom the terminal has locked
    by itself is no difference: that is what too many wrong tries do.
    """
    reported = {entry["op"]: entry for entry in told}
    listed = {operator.number: operator for operator in terminal.operators.all()}
    if not listed:
        return {}  # nobody has written the list yet; the terminal's own is all we know
    both = sorted(reported.keys() & listed.keys())
    locked = _locked_here(terminal)
    found = {
        "unknown": sorted(reported.keys() - listed.keys()),
        "missing": sorted(listed.keys() - reported.keys()),
        "role": [number for number in both if _has_other_rights(reported[number], listed[number])],
        "unlocked": [number for number in both if number in locked and not reported[number]["locked"]],
    }
    return {what: numbers for what, numbers in found.items() if numbers}


def _has_other_rights(entry: Entry, operator: Operator) -> bool:
    return bool(entry["role"] != operator.role)


def _locked_here(terminal: Terminal) -> set[str]:
    """Operators whose lock the terminal has confirmed, and nothing since that lets them in."""
    done = Command.objects.filter(terminal=terminal, state=APPLIED).exclude(operator_number="")
    if not done.filter(kind=LOCK).exists():
        return set()
    moves = done.filter(kind__in=(LOCK, UNLOCK, SET_CREDENTIAL)).order_by("applied_at", "seq")
    last = dict(moves.values_list("operator_number", "kind"))
    return {number for number, kind in last.items() if kind == LOCK}


def weak(told: Iterable[Entry]) -> Found:
    """Operator numbers by what the terminal found of their passwords: default, common, shared."""
    found: Found = {}
    for entry in sorted(told, key=lambda entry: str(entry["op"])):
        if entry.get("weak"):
            found.setdefault(entry["weak"], []).append(entry["op"])
    return found


def supports(supported: Iterable[str], firmware: str) -> bool:
    """Whether a firmware is on the model's list of beginnings; an empty list takes any.

    >>> supports(["4.2"], "4.2.1"), supports(["4.2"], "4.20")
    (True, False)
    """
    beginnings = [str(beginning).split(".") for beginning in supported]
    parts = firmware.split(".")
    return not beginnings or any(parts[: len(beginning)] == beginning for beginning in beginnings)
