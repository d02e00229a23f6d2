"""A list of terminals as spreadsheets write it: bytes into lines of named cells."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

LIST_MAX: Final = 256 * 1024
LINES_MAX: Final = 500
CELL_MAX: Final = 200
# The columns, by the names that people give them (compared in lower case, without spaces).
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "number": ("number", "terminalnumber", "tid", "终端号", "终端编号"),
    "serial": ("serial", "serialnumber", "sn", "s/n", "序列号", "机身号"),
    "name": ("name", "terminalname", "名称", "终端名称"),
    "model": ("model", "型号", "机型"),
    "merchant": ("merchant", "merchantnumber", "mid", "商户号", "商户编号"),
    "store": ("store", "storename", "shop", "门店", "门店名称"),
    "power": ("power", "网络", "供电"),
}
REQUIRED: Final = ("number", "serial", "name", "model", "merchant", "store")
# What a spreadsheet would run when somebody opens the list again.
FORMULA: Final = ("=", "+", "-", "@")


TITLES: Final[Mapping[str, Promise]] = {
    "number": _("Terminal number"),
    "serial": _("Serial number"),
    "name": _("Name"),
    "model": _("Model"),
    "merchant": _("Merchant number"),
    "store": _("Store"),
    "power": _("Power and network"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: the line as an editor counts (0 for the whole list), and the column."""

    line: int
    column: str
    text: str | Promise

    @property
    def title(self) -> str | Promise:
        """The column in words; empty for the whole line."""
        return TITLES.get(self.column, "")


class BadList(Exception):
    """The list was not taken, none of it; `problems` says why, in the order of its lines."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = sorted(problems, key=lambda problem: problem.line)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list: its number, and its cells by column."""

    line: int
    cells: Mapping[str, str]

    def problem(self, column: str, text: str | Promise) -> Problem:
        """Something that is wrong with it."""
        return Problem(self.line, column, text)


def read(raw: bytes) -> tuple[list[Line], list[Problem]]:
    """The sound lines of a list, and what is wrong with the others. Raises BadList for no list at all."""
    if len(raw) > LIST_MAX:
        raise BadList([Problem(0, "", _("The file is larger than 256 KiB. Split it."))])
    text = decode(raw)
    rows = _rows(text)
    if not rows:
        raise BadList([Problem(0, "", _("The file is empty."))])
    columns = _columns(*rows[0])
    lines = [Line(number, _cells(columns, row)) for number, row in rows[1:]]
    if not lines:
        raise BadList([Problem(0, "", _("There is no terminal in the file, only the headings."))])
    if len(lines) > LINES_MAX:
        many = _("The file has more than 500 terminals. Split it.")
        raise BadList([Problem(lines[LINES_MAX].line, "", many)])
    odd = {line.line: _odd(line, row, columns) for line, (_number, row) in zip(lines, rows[1:], strict=True)}
    return [line for line in lines if not odd[line.line]], [each for found in odd.values() for each in found]


def decode(raw: bytes) -> str:
    """The text, in whichever of the encodings spreadsheets write. Raises BadList."""
    marked = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise BadList([Problem(0, "", _("The file is no text. Save it as CSV, in UTF-8 or GBK."))])


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """Rows that are not blank, with the line each begins on."""
    head = text.strip().splitlines()[0] if text.strip() else ""
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True)
    rows, begin = [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((begin, row))
            begin = reader.line_num + 1
    except csv.Error:
        raise BadList(
            [Problem(begin, "", _("This line cannot be read. Is a quotation mark left open?"))]
        ) from None
    return rows


def _columns(line: int, heads: list[str]) -> list[str]:
    """Which column is which, by the headings; an empty name for one that is none of ours."""
    names = {name: column for column, known in COLUMNS.items() for name in known}
    columns = [names.get("".join(tidy(head).lower().split()), "") for head in heads]
    found = [
        Problem(line, column, _("This column is missing. The first line of the file names the columns."))
        for column in REQUIRED
        if column not in columns
    ]
    found += [
        Problem(line, column, _("This column is there twice."))
        for column in dict.fromkeys(columns)
        if column and columns.count(column) > 1
    ]
    if found:
        raise BadList(found)
    return columns


def _cells(columns: list[str], row: list[str]) -> dict[str, str]:
    return {column: tidy(cell) for column, cell in zip(columns, row, strict=False) if column}


def tidy(cell: str) -> str:
    """Full-width signs in their plain form, white space at the ends and a spreadsheet's text mark gone."""
    return unicodedata.normalize("NFKC", cell).strip().removeprefix("'").strip()


def _odd(line: Line, row: list[str], columns: list[str]) -> list[Problem]:
    """What no cell may be, whatever column it is in."""
    if any(cell.strip() for cell in row[len(columns) :]):
        return [line.problem("", _("This line has more cells than there are columns."))]
    found = []
    for column, cell in line.cells.items():
        if cell.startswith(FORMULA):
            found.append(line.problem(column, _("This looks like a formula. Write the value itself.")))
        elif len(cell) > CELL_MAX or not cell.isprintable():
            found.append(line.problem(column, _("This cell is too long, or has signs that nobody can see.")))
        elif not cell and column in REQUIRED:
            found.append(line.problem(column, _("This cell is empty.")))
    short = [column for column in REQUIRED if column not in line.cells]
    return found + [line.problem(column, _("This cell is empty.")) for column in short]
