"""What templates cannot say by themselves: times in words, a QR code as SVG, data attributes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import segno
from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

register = template.Library()

QUIET_ZONE = 4


@register.filter
def duration(seconds: int | str | None) -> str:
    """Seconds as people say them: `40 s`, `6 min 40 s`, `3 h`. Finished text passes through."""
    if seconds is None or isinstance(seconds, str):
        return seconds or ""
    minutes, rest = divmod(int(seconds), 60)
    if not minutes:
        return gettext("%(s)s s") % {"s": rest}
    if minutes < 60:
        return gettext("%(m)s min %(s)s s") % {"m": minutes, "s": rest}
    return ngettext("%(h)s hour", "%(h)s hours", minutes // 60) % {"h": minutes // 60}


@register.filter
def span(seconds: int) -> str:
    """Seconds in hours and whole minutes, as far as a deadline needs them: `23 min`, `3 h 20 min`, `18 h`."""
    hours, minutes = divmod(int(seconds) // 60, 60)
    facts = {"h": hours, "m": minutes}
    if not hours:
        return gettext("%(m)s min") % facts
    return (gettext("%(h)s h %(m)s min") if minutes and hours < 10 else gettext("%(h)s h")) % facts


@register.filter
def clock(seconds: int | None) -> str:
    """Seconds left as a till shows them: `14:32`."""
    return "{}:{:02}".format(*divmod(max(0, int(seconds or 0)), 60))


@register.filter
def when(moment: datetime | None) -> str:
    """A moment in local words: `today 08:15`, `yesterday 21:10`, `3 November 21:10`; empty for none."""
    if moment is None:
        return ""
    local = timezone.localtime(moment)
    days = (timezone.localdate() - local.date()).days
    facts = {"time": local.strftime("%H:%M")}
    if days == 0:
        return gettext("today %(time)s") % facts
    if days == 1:
        return gettext("yesterday %(time)s") % facts
    # Translators: Django date format for a day in the past, with or without its year.
    form = gettext("j F") if local.year == timezone.localdate().year else gettext("j F Y")
    return f"{date_format(local, form)} {facts['time']}"


@register.filter
def ago(moment: datetime | None) -> str:
    """How long ago in words, up to an hour; beyond that the clock says more (see `when`)."""
    if moment is None:
        return ""
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    if seconds < 60:
        return gettext("%(s)s s ago") % {"s": seconds}
    if seconds < 3600:
        return gettext("%(m)s min ago") % {"m": seconds // 60}
    return when(moment)


@register.filter
def dataset(facts: Mapping[str, Any] | None) -> SafeString:
    """A mapping as `data-…` attributes; lists become words separated by spaces."""
    pairs = (
        (name.replace("_", "-"), " ".join(map(str, value)) if isinstance(value, list | tuple) else value)
        for name, value in (facts or {}).items()
    )
    return format_html_join("", ' data-{}="{}"', pairs)


@register.simple_tag
def qr(text: str, label: str) -> SafeString:
    """Inline SVG of a QR code (ISO/IEC 18004, level M) and its quiet zone; attributes only, for the CSP."""
    code = segno.make(text, error="m", micro=False)
    size = code.symbol_size(border=QUIET_ZONE)[0]
    return format_html(
        '<svg class="qr" viewBox="0 0 {} {}" role="img" aria-label="{}" shape-rendering="crispEdges">'
        '<path fill="currentColor" d="{}"/></svg>',
        size,
        size,
        label,
        _outline(code.matrix),
    )


def _outline(matrix: tuple[bytearray, ...]) -> str:
    """One SVG path of horizontal runs; a run is one rectangle."""
    path = []
    for y, row in enumerate(matrix, QUIET_ZONE):
        x = 0
        for dark in _runs(row):
            if dark > 0:
                path.append(f"M{x + QUIET_ZONE} {y}h{dark}v1h-{dark}z")
            x += abs(dark)
    return "".join(path)


def _runs(row: bytearray) -> list[int]:
    """Lengths of equal neighbours, dark ones positive and light ones negative."""
    runs: list[int] = []
    for module in row:
        step = 1 if module else -1
        if runs and (runs[-1] > 0) == (step > 0):
            runs[-1] += step
        else:
            runs.append(step)
    return runs
