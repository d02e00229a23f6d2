"""The page of threats and the tests agree: each row has tests, and each test with an id has a row."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/threats.md"
ROW = re.compile(r"^\| `(T[0-9]{2})` \|.*\|([^|]*)\|$", re.MULTILINE)
TEST = re.compile(r"def test_(T[0-9]{2})_")
ROWS = {f"T{number:02}" for number in (*range(1, 5), *range(10, 20), *range(33, 38), 40, 41, 42, 43)}


def ids_in(path: Path) -> set[str]:
    """The ids that tests of a file bear."""
    return set(TEST.findall(path.read_text("utf-8")))


def test_every_row_of_the_table_is_on_the_page_with_tests_that_bear_its_id() -> None:
    page = {row: re.findall(r"`([^`]+)`", cell) for row, cell in ROW.findall(PAGE.read_text("utf-8"))}
    assert page.keys() == ROWS
    for row, files in page.items():
        assert files
        assert [name for name in files if row not in ids_in(ROOT / name)] == [], row


def test_every_test_that_bears_an_id_has_a_row() -> None:
    borne = {row for path in (ROOT / "tests").rglob("test_*.py") for row in ids_in(path)}
    assert borne == ROWS
