"""All figures of a period."""

from __future__ import annotations

from recovery.desk.reports.cases import cases, first_response, promises, resolution
from recovery.desk.reports.messages import carriers, cost_of_one, costs
from recovery.desk.reports.percentiles import ALL
from recovery.desk.reports.recoveries import journeys, repeats, self_served, time_to_restore
from recovery.desk.reports.shape import Figure, Period


def figures(period: Period) -> list[Figure]:
    """All of them, in the order of the page."""
    funnel, stops = journeys(period)
    alone, spent = self_served(period), costs(period)
    return [
        funnel,
        stops,
        alone,
        time_to_restore(period),
        repeats(period),
        spent,
        cost_of_one(spent, began=funnel.of("started")["came"], restored=alone.of(ALL)["restored"]),
        carriers(period),
        cases(period),
        promises(period),
        first_response(period),
        resolution(period),
    ]
