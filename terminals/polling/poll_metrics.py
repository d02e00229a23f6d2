"""The poll's numbers for /metrics, read from its plain counters when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from terminals.polling.poll import Poll, current

Family = CounterMetricFamily | GaugeMetricFamily


class PollCollector(Collector):
    """Counts of this process since its start."""

    def collect(self) -> Iterator[Family]:
        """One family a subject; none while nobody has polled here."""
        poll = current.poll
        if poll is None:
            return
        yield _counter("rekey_polls", "Polls answered, by HTTP status.", "status", poll.answers)
        yield _counter(
            "rekey_bearers", "Bearers that were not known, by outcome.", "outcome", poll.admission.outcomes
        )
        yield from _singles(poll)


def _singles(poll: Poll) -> Iterator[Family]:
    gauges = (
        ("rekey_polls_held", "Polls that are held now.", len(poll.held)),
        ("rekey_bearers_known", "Verified bearers in memory.", len(poll.bearers)),
        ("rekey_bearers_waiting", "Bearers that wait to be verified.", len(poll.admission.turnstile)),
    )
    counters = (
        ("rekey_redis_answers", "Replies of Redis to the poll.", poll.pipe.answers),
        ("rekey_redis_writes", "Writes to Redis, each with the questions of a turn.", poll.pipe.writes),
        ("rekey_redis_losses", "Times that Redis was lost.", poll.pipe.losses + poll.news.losses),
        (
            "rekey_polls_turned_away",
            "Polls asked to come back later while Redis was away.",
            poll.crowd.turned_away,
        ),
    )
    for name, meaning, value in gauges:
        yield GaugeMetricFamily(name, meaning, value)
    for name, meaning, value in counters:
        yield CounterMetricFamily(name, meaning, value)


def _counter(name: str, meaning: str, label: str, counts: Mapping[Any, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value, count in list(counts.items()):
        family.add_metric([str(value)], count)
    return family
