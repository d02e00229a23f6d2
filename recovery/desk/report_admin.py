"""The page of the reports, and the same numbers as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from portal.kept import ReadOnly
from portal.sheets import sheet
from recovery.desk.reports.course import HEIGHT, STEP, course, drawn
from recovery.desk.reports.figures import figures
from recovery.desk.reports.page import headline, sheets
from recovery.desk.reports.shape import SPANS, USUAL, Figure, Period, period_of
from recovery.models import Report

SPAN_NAMES = {1: _("today"), 7: _("7 days"), 30: _("30 days"), 90: _("90 days")}
HEAD = ("figure", "from", "until", "line", "name", "measure", "unit", "value")


@admin.register(Report)
class ReportAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Figures of a period instead of a list of rows; nothing has to be switched on for them."""

    def get_urls(self) -> list[URLPattern]:
        """The page and its CSV, and none of the stock addresses, for there are no rows."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name="recovery_report_changelist"),
            path("csv/", view(self.csv), name="recovery_report_csv"),
        ]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The figures of a period, with what they say in a line at the top."""
        period = self._period(request)
        found, columns = figures(period), course(period)
        tallest, bars = drawn(columns)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Reports"),
            "period": period,
            "spans": [(days, SPAN_NAMES[days], days == period.days) for days in SPANS],
            "sheets": sheets(found),
            "headline": headline(found),
            "columns": columns,
            "bars": bars,
            "tallest": tallest,
            "size": (len(columns) * STEP, HEIGHT),
        }
        return render(request, "admin/recovery/report/page.html", context)

    @method_decorator(require_safe)
    def csv(self, request: HttpRequest) -> HttpResponse:
        """One row a number, so that a spreadsheet can turn it as it likes."""
        period = self._period(request)
        text = sheet(HEAD, (row for figure in figures(period) for row in _rows(figure, period)))
        name = f"rekey-{timezone.localdate(period.until)}-{period.days}d.csv"
        answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def _period(self, request: HttpRequest) -> Period:
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("days", "")
        offered = {str(days): days for days in SPANS}
        return period_of(offered.get(asked, USUAL), timezone.now())


def _rows(figure: Figure, period: Period) -> Iterator[tuple[object, ...]]:
    since, until = (f"{timezone.localtime(at):%Y-%m-%dT%H:%M:%S%z}" for at in (period.since, period.until))
    for line in figure.lines:
        name = " · ".join(str(label) for label in line.labels)
        for measure in figure.measures:
            value = line.values.get(measure.key)
            what = (figure.key, since, until, "/".join(line.keys), name)
            yield (*what, measure.key, measure.unit.value, value)
