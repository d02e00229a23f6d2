"""Fills a database for the desk's lists and times each page: `python -m benchmarks.desk_probe VERB`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import django

django.setup()

from django.contrib import admin  # noqa: E402 - Django has to be set up first
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, setup_test_environment  # noqa: E402
from django.urls import reverse  # noqa: E402

from benchmarks.desk_rows import Filler, Sizes  # noqa: E402
from portal.models import User  # noqa: E402
from recovery.desk.queue import LABELS  # noqa: E402
from recovery.desk.reports.shape import SPANS  # noqa: E402
from tests.cast import make_staff, signed_in  # noqa: E402

WHO = "bench"


def fill(sizes: list[int]) -> None:
    """Make the rows."""
    Filler(Sizes(*sizes)).fill()


def addresses() -> list[tuple[str, str]]:
    """Every list of the admin, the views and searches of tickets, and the reports: name and address."""
    lists = {
        meta.label: reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        for meta in sorted((model._meta for model in admin.site._registry), key=lambda meta: meta.label)
    }
    tickets, reports = lists["recovery.Ticket"], lists.pop("recovery.Report")
    found = list(lists.items())
    found += [(f"recovery.Ticket, view {view}", f"{tickets}?view={view}") for view in LABELS]
    found += [
        ("recovery.Ticket, search for two words", f"{tickets}?q=主管密码"),
        ("recovery.Ticket, search for a number", f"{tickets}?q=T00000042"),
        *((f"reports, {days} days", f"{reports}?days={days}") for days in SPANS),
        ("reports as CSV, 30 days", f"{reverse('admin:recovery_report_csv')}?days=30"),
    ]
    return found


def times(rounds: int) -> list[dict[str, Any]]:
    """For each address: how many queries it takes, and milliseconds of each round."""
    setup_test_environment()
    client = signed_in(User.objects.filter(username=WHO).first() or make_staff(WHO))
    return [{"name": name, **_page(client, address, rounds)} for name, address in addresses()]


def _page(client: Client, address: str, rounds: int) -> dict[str, Any]:
    with CaptureQueriesContext(connection) as captured:
        status = client.get(address).status_code
    # The next request forgets them.
    asked, took = list(captured.captured_queries), []
    for _ in range(rounds):
        began = time.perf_counter()
        client.get(address)
        took.append((time.perf_counter() - began) * 1000)
    slowest = max(asked, key=lambda query: float(query["time"]), default={"sql": ""})
    return {"status": status, "queries": len(asked), "ms": sorted(took), "sql": slowest["sql"][:4000]}


if __name__ == "__main__":
    json.dump({"fill": fill, "times": times}[sys.argv[1]](json.loads(sys.argv[2])), sys.stdout)  # type: ignore[operator]
