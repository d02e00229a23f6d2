"""How often terminals may call, what they are told, and how a crowd is spread."""

from __future__ import annotations

import pytest

from terminals.headers import parse_dictionary
from terminals.polling import pacing
from terminals.polling.pacing import BURST, GAP_S, Crowd, Meter, interval_of, pace


def told(interval: int, *, calm: bool = False, fast_until: int | None = None) -> dict[str, object]:
    """What stands in the header."""
    name, value = pace(interval, fast_until, calm)
    assert name == b"rekey-poll"
    return dict(parse_dictionary(value.decode()) or {})


class TestPace:
    @pytest.mark.parametrize(
        ("power", "own", "interval"), [("mains", None, 60), ("cellular", None, 300), ("cellular", 20, 20)]
    )
    def test_a_terminal_calls_as_its_power_suggests_or_as_it_is_told(
        self, power: str, own: int | None, interval: int
    ) -> None:
        assert interval_of(power, own) == interval

    def test_the_header_tells_interval_jitter_and_patience(self) -> None:
        assert told(60) == {"interval": 60, "jitter": 15, "wait": 25}
        assert told(60, fast_until=1_767_225_720)["fast_until"] == 1_767_225_720

    @pytest.mark.parametrize("interval", [10, 60, 61, 300, 3600])
    def test_after_an_outage_more_is_left_to_chance_but_nobody_comes_later(self, interval: int) -> None:
        usual, calm = told(interval), told(interval, calm=True)
        assert int(str(calm["jitter"])) >= interval // 2
        assert int(str(calm["interval"])) >= 3
        for both in (usual, calm):
            assert int(str(both["interval"])) + int(str(both["jitter"])) == interval + 15


class TestMeter:
    def test_who_keeps_the_gap_is_never_early(self) -> None:
        meter = Meter()
        assert [meter.early(now * GAP_S) for now in range(100)] == [0] * 100

    def test_a_burst_is_fine_and_no_more(self) -> None:
        meter = Meter()
        answers = [meter.early(5.0) for _ in range(BURST + 5)]
        assert answers[:BURST] == [0] * BURST and all(answers[BURST:])

    def test_each_call_too_many_costs_five_seconds_more_up_to_a_minute(self) -> None:
        meter = Meter()
        fines = [fine for _ in range(BURST + 15) if (fine := meter.early(5.0))]
        assert fines == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60, 60, 60]

    def test_who_waits_is_forgiven(self) -> None:
        meter = Meter()
        while not meter.early(5.0):
            pass
        assert meter.early(5.0 + BURST * GAP_S) == 0
        while not meter.early(5.0 + BURST * GAP_S):
            pass
        assert meter.early(5.0 + BURST * GAP_S) == 10  # the first after the pause cost 5 again


class TestCrowd:
    def test_one_is_asked_back_soon(self) -> None:
        assert Crowd(1000).retry_after() == pacing.RETRY_S

    def test_a_crowd_is_spread_over_the_time_it_takes_to_serve_it(self) -> None:
        crowd = Crowd(1000)
        times = [crowd.retry_after() for _ in range(20_000)]
        assert crowd.turned_away == 20_000
        late = sorted(times[-1000:])
        assert late[0] <= 5 and late[-1] >= 17 and 8 <= late[500] <= 15

    def test_nobody_is_sent_away_for_more_than_a_minute(self) -> None:
        crowd = Crowd(1)
        assert max(crowd.retry_after() for _ in range(5000)) == pacing.RETRY_MAX_S

    def test_a_crowd_disperses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        crowd = Crowd(100)
        for _ in range(2000):
            crowd.retry_after()
        later = crowd._at + 60
        monkeypatch.setattr(pacing.time, "monotonic", lambda: later)
        assert crowd.retry_after() == pacing.RETRY_S
