"""What the till shows, as text, in Chinese or English."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

from terminals.simulator.state import Operator, State

_WIDTH: Final = 44

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "zh": {
        "new": "未配对：请输入配对码",
        "unconfirmed": "配对中",
        "active": "待机",
        "busy": "交易中，请稍候",
        "locked": "终端已锁定，请联系服务商",
        "operators": "操作员",
        "op_locked": "已锁定",
        "op_choose": "请设置新密码",
        "op_reset": "密码已重置，请登录",
        "unsent": "待上报回执",
        "ok": "登录成功",
        "wrong": "密码错误",
        "op_is_locked": "操作员已锁定",
        "unknown": "没有这个操作员",
        "must_change": "请先修改密码",
        "hint": "输入：操作员号 密码",
    },
    "en": {
        "new": "Not paired: enter the pairing code",
        "unconfirmed": "Pairing",
        "active": "Ready",
        "busy": "Sale in progress",
        "locked": "Terminal locked: contact support",
        "operators": "Operators",
        "op_locked": "locked",
        "op_choose": "choose a new password",
        "op_reset": "password reset, please sign on",
        "unsent": "receipts not yet sent",
        "ok": "Signed on",
        "wrong": "Wrong password",
        "op_is_locked": "Operator locked",
        "unknown": "No such operator",
        "must_change": "Change your password first",
        "hint": "Enter: operator password",
    },
}
LANGUAGES: Final = tuple(_WORDS)


def words(lang: str) -> Mapping[str, str]:
    """The texts of the till in one language."""
    return _WORDS[lang]


def render(state: State, now: int, lang: str) -> str:
    """The idle screen; it never shows a password."""
    text = _WORDS[lang]
    status = "locked" if state.locked else "busy" if state.busy else state.status
    lines = [f"{state.profile.model}  {state.profile.serial}", text[status]]
    if state.message:
        lines.append(state.message)
    lines += ["", text["operators"]]
    lines += [_operator_line(operator, now, text) for _, operator in sorted(state.operators.items())]
    if state.outbox:
        lines += ["", f"{text['unsent']}: {len(state.outbox)}"]
    rule = "+" + "-" * (_WIDTH + 2) + "+"
    return "\n".join([rule, *(f"| {_padded(line)} |" for line in lines), rule])


def _operator_line(operator: Operator, now: int, text: Mapping[str, str]) -> str:
    line = f"  {operator.number}  {operator.name}"
    if operator.locked:
        return f"{line}  [{text['op_locked']}]"
    if operator.reset is None:
        return line
    until = operator.reset.choose_until
    if until is None:
        return f"{line}  [{text['op_reset']}]"
    return f"{line}  [{text['op_choose']}]" if now <= until else line


def _padded(line: str) -> str:
    shown, width = "", 0
    for character in line:
        step = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if width + step > _WIDTH:
            break
        shown, width = shown + character, width + step
    return shown + " " * (_WIDTH - width)
