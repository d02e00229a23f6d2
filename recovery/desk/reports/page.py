"""The reports as people read them: numbers in words, a bar beside each line, and the few that matter most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from portal.templatetags.rekey import duration
from recovery.desk.reports.percentiles import ALL
from recovery.desk.reports.shape import Figure, Line, Text, Unit, share

NONE = "–"
FULL = 100
NARROW = 4


@dataclass(frozen=True, slots=True)
class Drawn:
    """Which measure of a figure its bars show, in which colour; a second one lies behind the first."""

    kind: str
    measure: str
    behind: str = ""


DRAWN = {
    "funnel": Drawn("go", "of_all"),
    "stops": Drawn("wait", "ended"),
    "self_served": Drawn("go", "share"),
    "time_to_restore": Drawn("go", "half", "most"),
    "repeats": Drawn("wait", "operators"),
    "costs": Drawn("wait", "money"),
    "carriers": Drawn("stop", "share"),
    "cases": Drawn("wait", "opened"),
    "promises": Drawn("stop", "share"),
    "first_response": Drawn("go", "half", "most"),
    "resolution": Drawn("go", "half", "most"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its words, its numbers as people read them, and the lengths of its bars, 0 to 100.

    `again` says that its first word is that of the line before.
    """

    labels: tuple[Text, ...]
    again: bool
    cells: tuple[str, ...]
    bar: float
    behind: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """A figure ready to be shown."""

    key: str
    title: Text
    note: Text
    names: tuple[Text, ...]
    heads: tuple[Text, ...]
    rows: tuple[Row, ...]
    kind: str

    @property
    def is_wide(self) -> bool:
        """Whether it needs the whole width of a page."""
        return len(self.names) + len(self.heads) > NARROW


def shown(value: float | None, unit: Unit) -> str:
    """A number as people read it."""
    if value is None:
        return NONE
    if unit is Unit.SHARE:
        return f"{100 * value:.1f} %"
    if unit is Unit.SECONDS:
        return duration(round(value))
    return f"{value / 1000:,.2f}" if unit is Unit.MONEY else f"{value:,.0f}"


def sheets(figures: Iterable[Figure]) -> Mapping[str, Sheet]:
    """Every figure ready to be shown, by its name."""
    return {figure.key: _sheet(figure) for figure in figures}


def _sheet(figure: Figure) -> Sheet:
    drawn = DRAWN.get(figure.key, Drawn("", ""))
    whole = _whole(figure, drawn)
    rows = (
        Row(
            line.labels,
            len(line.keys) > 1 and before is not None and line.keys[0] == before.keys[0],
            tuple(shown(line.values.get(measure.key), measure.unit) for measure in figure.measures),
            _length(line, drawn.measure, whole),
            _length(line, drawn.behind, whole),
        )
        for before, line in zip((None, *figure.lines), figure.lines, strict=False)
    )
    names = tuple(name for _key, name in figure.by)
    heads = tuple(measure.label for measure in figure.measures)
    return Sheet(figure.key, figure.title, figure.note, names, heads, tuple(rows), drawn.kind)


def _whole(figure: Figure, drawn: Drawn) -> float:
    """What a full bar stands for: everything, of a share; otherwise the largest number of the figure."""
    if any(measure.key == drawn.measure and measure.unit is Unit.SHARE for measure in figure.measures):
        return 1.0
    names = (drawn.measure, drawn.behind)
    return max((line.values.get(name) or 0 for line in figure.lines for name in names), default=0)


def _length(line: Line, measure: str, whole: float) -> float:
    value = line.values.get(measure) or 0
    return round(FULL * value / whole, 1) if whole else 0.0


def headline(figures: Iterable[Figure]) -> list[tuple[str, str]]:
    """What somebody asks first, each with its answer."""
    named = {figure.key: figure for figure in figures}

    def number(key: str, measure: str, *line: str) -> str:
        figure = named[key]
        unit = next(one.unit for one in figure.measures if one.key == measure)
        return shown(figure.of(*line).get(measure), unit)

    def within(key: str) -> str:
        half, most = number(key, "half", ALL), number(key, "most", ALL)
        return (
            half if half == NONE else _("half %(half)s, nine of ten %(most)s") % {"half": half, "most": most}
        )

    handed, lost = named["carriers"].total("handed"), named["carriers"].total("undelivered")
    return [
        (_("Restored without help"), number("self_served", "share", ALL)),
        (_("Time to restore"), within("time_to_restore")),
        (_("Messages for one restored"), number("cost_of_one", "money", "restored")),
        (_("Messages not delivered"), shown(share(lost, handed), Unit.SHARE)),
        (_("First response"), within("first_response")),
        (_("Until closed"), within("resolution")),
    ]
