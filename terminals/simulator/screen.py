"""What the till shows, as text in a frame."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import segno

from terminals.protocol import UNLOCK_LIFETIME
from terminals.simulator.state import Asking, Challenge, Operator, State
from terminals.simulator.words import LANGUAGES, words

__all__ = ["LANGUAGES", "render", "words"]

_WIDTH: Final = 44
_QUIET: Final = 2
_HALVES: Final = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
_RULE: Final = "\0"


def render(state: State, now: int, lang: str) -> str:
    """The idle screen; it never shows a password."""
    lines = list(_lines(state, now, words(lang)))
    bars = {_RULE: "├" + "─" * (_WIDTH + 2) + "┤"}
    body = [bars.get(line) or f"│ {_padded(line)} │" for line in lines]
    return "\n".join(["┌" + "─" * (_WIDTH + 2) + "┐", *body, "└" + "─" * (_WIDTH + 2) + "┘"])


def _lines(state: State, now: int, text: Mapping[str, str]) -> Iterator[str]:
    yield _spread(f"{state.profile.model}  {state.profile.serial}", _signs(state, text))
    yield _RULE
    yield text[_status(state)]
    yield from _warnings(state, now, text)
    if state.message:
        yield f"※ {state.message}"
    if state.asking:
        yield _RULE
        yield from _asking_lines(state.asking, text)
    if state.challenge and now <= state.challenge.started + UNLOCK_LIFETIME:
        yield _RULE
        yield from _challenge_lines(state.challenge, text)
    yield _RULE
    yield text["operators"]
    for _, operator in sorted(state.operators.items()):
        yield _operator_line(operator, now, text)
    if state.outbox:
        yield _RULE
        yield f"{text['unsent']}: {len(state.outbox)}"


def _status(state: State) -> str:
    if state.restart:
        return "restarting"
    return "locked" if state.locked else "busy" if state.busy else state.status


def _signs(state: State, text: Mapping[str, str]) -> str:
    signs = [text[state.network] if state.connected else text["no_network"]]
    if state.battery is not None:
        signs.append(f"{text['battery']} {state.battery}%{'+' if state.charging else ''}")
    return "  ".join(signs)


def _warnings(state: State, now: int, text: Mapping[str, str]) -> Iterator[str]:
    if state.tampered:
        yield f"! {text['tampered']}"
    if state.trouble:
        yield f"! {text[f'trouble_{state.trouble}']}"
    if state.batch:
        yield text["batch"]
    if state.rolling or state.roll_wanted:
        yield text["rolling"]
    if state.wipe and state.wipe.reported:
        yield f"! {text['wiping']}"
    elif state.wipe:
        yield f"! {text['wipe']}: {max(0, state.wipe.at - now)}"
        if state.wipe.declinable:
            yield f"  {text['wipe_decline']}"


def _asking_lines(asking: Asking, text: Mapping[str, str]) -> Iterator[str]:
    if asking.state != "pending":
        yield f"{asking.op}  {text[f'ask_{asking.state}']}"
        return
    yield f"{text['ask_scan']} {asking.op}"
    yield ""
    yield from qr_lines(asking.address_complete)
    yield ""
    yield f"{text['ask_or']} {asking.address}"
    yield f"{text['ask_code']}  {asking.user_code}"
    yield f"{text['ask_match']}:  {asking.match}"


def _challenge_lines(challenge: Challenge, text: Mapping[str, str]) -> Iterator[str]:
    yield f"{challenge.op}  {text['unlock_question']}"
    yield f"    {challenge.question[:5]} {challenge.question[5:]}"
    yield text["unlock_then"]


@lru_cache(maxsize=4)
def qr_lines(address: str) -> tuple[str, ...]:
    """A QR code in half blocks, light on a dark screen, with its quiet zone."""
    code = segno.make(address, error="m", micro=False)
    rows = [list(map(int, row)) for row in code.matrix_iter(border=_QUIET)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    indent = " " * max(0, (_WIDTH - len(rows[0])) // 2)
    return tuple(
        indent + "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )


def _operator_line(operator: Operator, now: int, text: Mapping[str, str]) -> str:
    line = f"  {operator.number}  {operator.name}"
    mark = _operator_mark(operator, now)
    return f"{line}  [{text[mark]}]" if mark else line


def _operator_mark(operator: Operator, now: int) -> str:
    if operator.locked:
        return "op_locked"
    if operator.reset and operator.reset.choose_until is None:
        return "op_reset"
    if operator.reset and now <= (operator.reset.choose_until or 0):
        return "op_choose"
    if operator.must_change:
        return "op_change"
    return f"op_weak_{operator.weak}" if operator.weak else ""


def _spread(left: str, right: str) -> str:
    return left + " " * max(2, _WIDTH - _width(left) - _width(right)) + right


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _padded(line: str) -> str:
    shown, width = "", 0
    for character in line:
        step = _width(character)
        if width + step > _WIDTH:
            break
        shown, width = shown + character, width + step
    return shown + " " * (_WIDTH - width)
