"""What a terminal tells about itself in `PUT inventory`: kept, compared, and told to people (protocol §6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from terminals import alerts, comparison, tamper
from terminals.claims import Inventory
from terminals.models import Terminal, TerminalAlert, TerminalStatus

Kind = TerminalAlert.Kind
# What an inventory can raise, and clear again when the next one no longer says so.
WATCHED = (Kind.OPERATORS_DIFFER, Kind.WEAK_PASSWORD, Kind.UNSUPPORTED_FIRMWARE)
GONE = "no longer reported"


def store(terminal: Terminal, inventory: Inventory) -> bool:
    """Keep what is new in it, compare it with the list here; whether anything was new.

    One that says what the last one said writes nothing, and ages of passwords that have only grown by the
    days between are nothing new.
    """
    told, now = _plain(inventory), timezone.now()
    status = TerminalStatus.objects.filter(terminal=terminal).first()
    opened = inventory.tamper is True and (status is None or status.tamper is not True)
    news = status is None or not _same(status, told, now)
    if news:
        _keep(terminal, inventory, told, now, opened=opened)
    _tell(terminal, _findings(terminal, told))
    return news


def _plain(inventory: Inventory) -> dict[str, Any]:
    """As the database will give it back."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(inventory)))
    return plain


def _same(status: TerminalStatus, told: Mapping[str, Any], now: datetime) -> bool:
    before = status.inventory
    if status.inventory_at is None or _ageless(before) != _ageless(told):
        return False
    days = (now - status.inventory_at).days
    pairs = zip(before["operators"], told["operators"], strict=True)
    return all(_has_only_aged(old["age_days"], new["age_days"], days) for old, new in pairs)


def _ageless(told: Mapping[str, Any]) -> dict[str, Any]:
    operators = [{**entry, "age_days": None} for entry in told.get("operators", ())]
    return {**told, "operators": operators}


def _has_only_aged(old: int | None, new: int | None, days: int) -> bool:
    if old is None or new is None:
        return old is new
    # A day more or less: the terminal counts days from the change, we from the last report.
    return abs(new - old - days) <= 1


def _keep(
    terminal: Terminal, inventory: Inventory, told: dict[str, Any], now: datetime, *, opened: bool
) -> None:
    facts: dict[str, Any] = {"inventory": told, "inventory_at": now}
    for name in ("app", "battery", "charging", "network", "unsettled_batch", "tamper"):
        if told[name] is not None:
            facts[name] = told[name]
    with transaction.atomic():
        TerminalStatus.objects.update_or_create(terminal=terminal, defaults=facts)
        Terminal.objects.filter(pk=terminal.pk).exclude(firmware=inventory.fw).update(firmware=inventory.fw)
        if opened:
            tamper.note(terminal)


def _findings(terminal: Terminal, told: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What is to be told, by kind of alert; empty where all is well."""
    weak = comparison.weak(told["operators"])
    supported = comparison.supports(terminal.model.supported_firmware, told["fw"])
    return {
        Kind.OPERATORS_DIFFER: dict(comparison.differences(terminal, told["operators"])),
        Kind.WEAK_PASSWORD: dict(weak),
        Kind.UNSUPPORTED_FIRMWARE: {} if supported else {"firmware": told["fw"]},
    }


def _tell(terminal: Terminal, findings: Mapping[str, dict[str, Any]]) -> None:
    """Raise what is new and clear what is gone; what a person has cleared stays so until it changes."""
    raised = TerminalAlert.objects.filter(terminal=terminal, kind__in=WATCHED, subject="").order_by(
        "raised_at"
    )
    latest = {alert.kind: alert for alert in raised}
    for kind, facts in findings.items():
        alert = latest.get(kind)
        if not facts:
            if alert is not None and alert.cleared_at is None:
                alerts.clear(alert, terminal.pk, GONE)
        elif alert is None or alert.facts != facts or alert.cleared_reason == GONE:
            _replace(terminal, kind, alert, facts)


def _replace(terminal: Terminal, kind: str, alert: TerminalAlert | None, facts: dict[str, Any]) -> None:
    """One open alert with exactly these facts."""
    with transaction.atomic():
        if alert is not None and alert.cleared_at is None:
            same = TerminalAlert.objects.filter(pk=alert.pk, cleared_at__isnull=True)
            if same.update(facts=facts, last_at=timezone.now(), count=alert.count + 1) == 1:
                return
        alerts.raise_alert(kind, terminal, **facts)


def reported(terminal: Terminal, now: datetime) -> dict[str, dict[str, Any]]:
    """The operators of the last inventory by number, their passwords as old as they are `now`."""
    status = getattr(terminal, "status", None)
    if status is None:
        return {}
    days = max(0, (now - (status.inventory_at or now)).days)
    return {entry["op"]: _aged(entry, days) for entry in status.inventory.get("operators", ())}


def _aged(entry: Mapping[str, Any], days: int) -> dict[str, Any]:
    age = entry.get("age_days")
    return {**entry, "age_days": None if age is None else age + days}
