"""CSV that a spreadsheet opens as it is: no cell of it is ever taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

# With it spreadsheets read the file as UTF-8, Chinese included.
MARK = "\ufeff"
# What spreadsheets take for the beginning of a formula, the full-width forms of East Asian ones included.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def inert(cell: object) -> str:
    """A cell as it may stand in CSV: what would be a formula becomes a text, none becomes empty.

    >>> inert("=1+1"), inert(-2.5), inert(None)
    ("'=1+1", '-2.5', '')
    """
    if cell is None:
        return ""
    if isinstance(cell, int | float):
        return str(cell)
    text = str(cell)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def sheet(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """The rows below their head as CSV (RFC 4180), every cell inert."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([inert(cell) for cell in row] for row in (head, *rows))
    return MARK + text.getvalue()
