"""The reports' numbers for /metrics: read from the rows at most once a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Lock

import structlog
from django.conf import settings
from django.db import Error
from django.utils import timezone
from django.utils.translation import override
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from portal.metrics import registry
from recovery.desk.reports.figures import figures
from recovery.desk.reports.shape import Figure, Unit, period_of

log = structlog.get_logger(__name__)
# Today, to be woken by; and the month, to look at.
DAYS = (1, 30)
FRESH_S = 60.0
SUFFIX = {Unit.COUNT: "", Unit.SHARE: "_ratio", Unit.SECONDS: "_seconds", Unit.MONEY: "_thousandths"}


class ReportCollector(Collector):
    """Gauges, alike in every process that is asked, for they come from the rows that all share."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: list[GaugeMetricFamily] = []
        self._stale_at = 0.0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family a measure of a figure; `rekey_reports_up` is 0 while the rows cannot be read."""
        with self._lock:
            if time.monotonic() >= self._stale_at:
                self._kept = read()
                self._stale_at = time.monotonic() + FRESH_S
            kept = self._kept
        yield GaugeMetricFamily("rekey_reports_up", "Whether the reports could be read.", bool(kept))
        yield from kept


def read() -> list[GaugeMetricFamily]:
    """Every number of the reports as it is now; none when the database does not answer."""
    now, families = timezone.now(), dict[str, GaugeMetricFamily]()
    try:
        found = [(str(days), figure) for days in DAYS for figure in figures(period_of(days, now))]
    except Error as error:
        log.warning("reports_unread", error=type(error).__name__)
        return []
    with override("en"):
        for days, figure in found:
            _add(families, figure, days)
    return list(families.values())


def _add(families: dict[str, GaugeMetricFamily], figure: Figure, days: str) -> None:
    labels = [key for key, _name in figure.by]
    for measure in figure.measures:
        name = f"rekey_report_{figure.key}_{measure.key}{SUFFIX[measure.unit]}"
        meaning = f"{figure.title}: {measure.label}."
        family = families.setdefault(name, GaugeMetricFamily(name, meaning, labels=[*labels, "days"]))
        for line in figure.lines:
            if (value := line.values.get(measure.key)) is not None:
                family.add_metric([*line.keys, days], value)


# A process that answers polls has no time for it.
if settings.REKEY_ROLE != "poll":
    registry.register(ReportCollector())
