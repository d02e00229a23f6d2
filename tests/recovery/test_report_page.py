"""The reports' page, its CSV and its metrics: the same numbers, for whoever may see them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from recovery.desk.reports import course, metrics, page
from recovery.desk.reports.figures import figures
from recovery.desk.reports.percentiles import ALL
from recovery.desk.reports.shape import Unit, period_of, share
from terminals.models import Terminal
from tests.cast import make_merchant, make_staff, make_terminal, signed_in
from tests.recovery.desk import in_english
from tests.recovery.reporting import opened, restored, sent, week
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def terminal() -> Terminal:
    return make_terminal(make_merchant())


# ── page and CSV ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def desk() -> Client:
    return in_english(signed_in(make_staff()))


def test_the_page_shows_a_journey_that_was_walked(desk: Client) -> None:
    make_shop()
    Visitor().dispatch()
    answer = desk.get(reverse("admin:recovery_report_changelist"), {"days": "7"})
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Sent the reset on its way" in text and "still going on" in text
    assert "<style" not in text and "style=" not in text
    assert 'aria-current="true">7 days' in text


def test_with_nothing_at_all_there_is_a_page_and_a_sheet(desk: Client) -> None:
    for days in ("1", "30"):
        assert desk.get(reverse("admin:recovery_report_changelist"), {"days": days}).status_code == 200
    assert desk.get(reverse("admin:recovery_report_csv")).status_code == 200


@pytest.mark.parametrize("odd", ["", "0", "-1", "x", "七", "7.0", "99999999999999999999", "\x00", "٧"])
def test_an_odd_period_is_the_usual_one(desk: Client, odd: str) -> None:
    answer = desk.get(reverse("admin:recovery_report_changelist"), {"days": odd})
    assert answer.status_code == 200
    assert answer.context["period"].days == 30


def rows_of(answer: Any) -> list[dict[str, str]]:
    text = answer.content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_sheet_holds_every_number_of_the_page(desk: Client, terminal: Terminal) -> None:
    restored(terminal, 90)
    sent(gateway="twilio", state="delivered", cost_milli=45)
    opened("code", answered=5, closed=60)
    rows = rows_of(desk.get(reverse("admin:recovery_report_csv"), {"days": "7"}))
    told = {(row["figure"], row["line"], row["measure"]): row["value"] for row in rows}
    for figure in figures(week()):
        for line in figure.lines:
            for measure in figure.measures:
                value = line.values[measure.key]
                text = "" if value is None else str(value)
                assert told.pop((figure.key, "/".join(line.keys), measure.key)) == text
    assert told == {}
    assert rows[0]["from"] == "2026-11-19T00:00:00+0800"


def test_nothing_in_the_sheet_is_a_formula(desk: Client) -> None:
    for step in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1"):
        opened(step, answered=5)
    text = desk.get(reverse("admin:recovery_report_csv")).content.decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert "'=1+1" in cells
    assert [cell for cell in cells if cell.strip()[:1] in tuple("=+-@＝")] == []


def test_only_who_may_see_reports_sees_them() -> None:
    person = make_staff("agent", superuser=False)
    client = signed_in(person)
    for name in ("changelist", "csv"):
        assert client.get(reverse(f"admin:recovery_report_{name}")).status_code == 403
    person.user_permissions.add(Permission.objects.get(codename="view_report"))
    for name in ("changelist", "csv"):
        assert client.get(reverse(f"admin:recovery_report_{name}")).status_code == 200
        assert client.post(reverse(f"admin:recovery_report_{name}")).status_code == 405


def test_each_figure_is_one_query_however_many_rows_there_are(terminal: Terminal) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            figures(week())
            course.course(week())
        return len(captured)

    few = asked()
    for _ in range(5):
        restored(terminal)
        sent(gateway="twilio")
        opened("code", answered=5, closed=60)
    assert asked() == few == 11


def test_numbers_are_said_as_people_read_them() -> None:
    assert page.shown(None, Unit.SHARE) == "–"
    assert page.shown(0.0312, Unit.SHARE) == "3.1 %"
    assert page.shown(12345, Unit.COUNT) == "12,345"
    assert page.shown(67.5, Unit.MONEY) == "0.07"
    assert share(1, 0) is None


# ── Prometheus ──────────────────────────────────────────────────────────────────────────────────────────────


def gauges(client: Client) -> dict[tuple[str, ...], float]:
    """What /metrics says of the reports: name and labels → value."""
    text = client.get("/metrics").content.decode()
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    return {
        (one.name, *sorted(one.labels.values())): one.value
        for one in samples
        if one.name.startswith("rekey_report")
    }


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> metrics.ReportCollector:
    """One that has read nothing yet, in place of the one that this process has."""
    fresh, names = metrics.ReportCollector(), CollectorRegistry()
    names.register(fresh)
    monkeypatch.setattr("portal.metrics.registry", names)
    return fresh


def test_prometheus_is_told_the_numbers_of_the_page(
    collector: metrics.ReportCollector, client: Client, terminal: Terminal
) -> None:
    restored(terminal, 90)
    restored(terminal, 30, minutes_ago=3 * 24 * 60)
    sent(gateway="twilio", state="undelivered", cost_milli=45)
    told = gauges(client)
    assert told[("rekey_reports_up",)] == 1
    assert told[("rekey_report_self_served_restored", "1", ALL)] == 1
    assert told[("rekey_report_self_served_restored", "30", ALL)] == 2
    assert told[("rekey_report_time_to_restore_most_seconds", "30", ALL)] == 90
    assert told[("rekey_report_carriers_share_ratio", "30", "sms", "twilio")] == 1
    kept = [(days, one) for days in metrics.DAYS for one in figures(period_of(days, timezone.now()))]
    for days, figure in kept:
        for line, measure in product(figure.lines, figure.measures):
            name = f"rekey_report_{figure.key}_{measure.key}{metrics.SUFFIX[measure.unit]}"
            labels = sorted([*line.keys, str(days)])
            assert told.get((name, *labels)) == line.values[measure.key]


def test_the_rows_are_read_once_a_minute_however_often_it_is_asked(
    collector: metrics.ReportCollector, client: Client
) -> None:
    gauges(client)
    with CaptureQueriesContext(connection) as captured:
        gauges(client)
    assert len(captured) == 0
    collector._stale_at = 0.0
    with CaptureQueriesContext(connection) as captured:
        gauges(client)
    assert len(captured) == len(metrics.DAYS) * 10


def test_without_a_database_the_other_metrics_are_told_all_the_same(
    collector: metrics.ReportCollector, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(metrics, "figures", broken)
    assert gauges(client) == {("rekey_reports_up",): 0}
