"""Every benchmark runs, with sizes that prove nothing; how fast anything is, no test judges."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import machine, report
from benchmarks.figures import Bound, Figure, Outcome, Table, number
from benchmarks.load import Window, answer_length, get, quantile

ROOT = Path(__file__).parents[2]


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize("figures", [(1, 2, 3), (4, 5, 7), (6,), (8,), (9,), (10,)], ids=str)
def test_the_benchmark_runs(figures: tuple[int, ...], tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    wanted = [*map(str, figures), "--rounds", "1", "--tiny", "--write", str(page)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", *wanted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    # 1 says that something was slow, which with so little to measure means nothing.
    assert done.returncode in (0, 1), done.stderr[-3000:]
    assert page.exists(), done.stderr[-3000:]
    lines = page.read_text("utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ") and line[2].isdigit()] == [
        *map(str, figures)
    ]


def test_the_page_names_the_machine_and_nothing_private() -> None:
    page = report.text([], (), rounds=3, took_s=60)
    assert "| CPU |" in page and "| Python |" in page
    assert machine.platform.node() not in page and str(ROOT) not in page


def test_a_figure_is_met_when_all_its_bounds_are() -> None:
    fast, slow = Bound("of the ceiling", 85, 80, " %"), Bound("p50", 3.5, 3, "×", at_most=True)
    assert fast.met and not slow.met
    short = Figure(5, "a push", "3.5 ms", "1 ms", [fast, slow], "the loop")
    page = report.text([Outcome([short], [Table("Rows", ("what",), [["a"]])], [0.1, 0.4])], (5,), 3, 60)
    assert "**short**" in page and "1 of 2 windows above 0.25" in page
    assert "of the ceiling 85.0 % (≥ 80.0 %)<br>p50 3.50× (≤ 3.00×)" in page


def test_a_group_that_cannot_be_measured_is_named_and_the_others_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = Figure(8, "signing", "fast", "-", [Bound("of the ceiling", 66, 25, " %")], "rows")

    def measure(name: str, *_: object) -> Outcome:
        if name == "flood":
            raise RuntimeError("the server hung up")
        return Outcome([met])

    page = tmp_path / "RESULTS.md"
    monkeypatch.setattr(command, "_run", measure)
    assert command.main(["--only", "8", "10", "--tiny", "--write", str(page)]) == 1
    text = page.read_text("utf-8")
    assert "| **failed, not measured** | flood |" in text and "| 8 | signing |" in text
    assert command.main(["--only", "8", "--tiny"]) == 0


def test_windows_count_and_order_what_they_saw() -> None:
    usage = machine.Usage(seconds=2.0, of={7: 0.5}, own=0.1, foreign=0.0)
    window = Window(usage, Counter({204: 99, 200: 1}), array("q", range(0, 100_000_000, 1_000_000)))
    assert (window.count, window.rate, window.per_request_us(7)) == (100, 50.0, 5000.0)
    assert (window.ms(0.5), window.ms(0.99)) == (50.0, 99.0)
    assert quantile([1, 2, 3], 1.0) == 3


def test_an_answer_is_as_long_as_its_head_says() -> None:
    assert answer_length(b"HTTP/1.1 204 No Content\r\n\r\n") == 27
    assert answer_length(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab") == 43
    assert answer_length(b"HTTP/1.1 200 OK\r\nConte") == 0


def test_a_request_names_its_headers_as_http_does() -> None:
    assert (
        get("/x", Rekey_Telemetry="pv=1")
        == b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nRekey-Telemetry: pv=1\r\n\r\n"
    )


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234")])
def test_numbers_have_three_figures_that_matter(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.live
@pytest.mark.slow
def test_the_lists_of_the_desk_are_measured(tmp_path: Path) -> None:
    page = tmp_path / "DESK.md"
    told = ["--size", "tiny", "--rounds", "1", "--write", str(page)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.desk", *told],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "| recovery.Ticket |" in page.read_text("utf-8")
