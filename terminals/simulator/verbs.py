"""What a person can do at the machine: the same words on the command line and at its keyboard."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from terminals.simulator.screen import render
from terminals.simulator.till import SignOn, Till
from terminals.simulator.words import words

Words = Mapping[str, str]
_FROM_INPUT: Final = "-"
_SWITCH: Final[Mapping[str, bool]] = {"on": True, "off": False}


@dataclass(frozen=True, slots=True)
class Said:
    """What the machine says, and whether the person got what they wanted."""

    text: str
    good: bool = True


@dataclass(frozen=True, slots=True)
class Verb:
    """A word, what may follow it, and what it does."""

    usage: str
    fewest: int
    most: int
    do: Callable[[Till, Words, Sequence[str]], Said]


def say(till: Till, lang: str, name: str, given: Sequence[str]) -> Said:
    """Do what a verb and its arguments say; a `-` among them is read from standard input."""
    verb, text = VERBS[name], words(lang)
    if not verb.fewest <= len(given) <= verb.most:
        return Said(f"{text['usage']}: {name} {verb.usage}".rstrip(), good=False)
    read = [sys.stdin.readline().rstrip("\n") if word == _FROM_INPUT else word for word in given]
    return verb.do(till, text, read)


def at_the_keyboard(till: Till, lang: str, line: str) -> Said:
    """Understand one line: a verb, or an operator and a password."""
    parts = line.split()
    text = words(lang)
    if not parts:
        return Said("")
    if parts[0] == "help":
        return Said("\n".join([f"{text['help']}:", *usages()]))
    if parts[0] in VERBS:
        return say(till, lang, parts[0], [part for part in parts[1:] if part != _FROM_INPUT])
    if len(parts) == 2:
        return _choose_or_sign_on(till, text, parts)
    return Said(text["not_understood"], good=False)


def usages() -> list[str]:
    """One line for each verb."""
    return [f"  {name} {verb.usage}".rstrip() for name, verb in VERBS.items()]


def _problems(text: Words, problems: Sequence[str]) -> Said:
    return Said(", ".join(text[problem] for problem in problems) or text["done"], good=not problems)


def _signed_on(text: Words, answer: SignOn) -> Said:
    said = text["op_is_locked"] if answer.reason == "locked" else text[answer.reason]
    return Said(f"{said}: {text['must_change']}" if answer.must_change else said, good=answer.accepted)


def _sign_on(till: Till, text: Words, given: Sequence[str]) -> Said:
    return _signed_on(text, till.sign_on(given[0], given[1]))


def _choose(till: Till, text: Words, given: Sequence[str]) -> Said:
    return _problems(text, till.choose(given[0], given[1]))


def _choose_or_sign_on(till: Till, text: Words, given: Sequence[str]) -> Said:
    problems = till.choose(given[0], given[1])
    if problems in ([], ["closed"]):
        return _sign_on(till, text, given)
    return _problems(text, problems)


def _change(till: Till, text: Words, given: Sequence[str]) -> Said:
    return _problems(text, till.change(given[0], given[1], given[2]))


def _forgot(till: Till, text: Words, given: Sequence[str]) -> Said:
    said = till.forgot(given[0])
    return Said(text["wanted"] if said == "ok" else text[said], good=said == "ok")


def _unlock(till: Till, text: Words, given: Sequence[str]) -> Said:
    number, now = given[0], till.present()
    if len(given) == 1:
        question, why = till.offline.begin(number, now)
        shown = f"{text['unlock_question']}: {question[:5]} {question[5:]}\n{text['unlock_then']}"
        return Said(shown if question else text[why], good=bool(question))
    answer = till.offline.answer(number, given[1], now) if given[1] else "ok"
    if answer != "ok" and not till.offline.granted(number, now):
        return Said(text["unlock_wrong"] if answer == "wrong" else text["closed"], good=False)
    return (
        _problems(text, till.offline.change(number, given[2], now)) if len(given) == 3 else Said(text["done"])
    )


def _decline(till: Till, text: Words, given: Sequence[str]) -> Said:
    said = till.decline(given[0], given[1])
    said = {"ok": "done", "locked": "op_is_locked"}.get(said, said)
    return Said(text[said], good=said == "done")


def _roll(till: Till, text: Words, given: Sequence[str]) -> Said:
    if till.store.load().status != "active" or (given and given[0] != "both"):
        return Said(text["new"] if not given else text["not_understood"], good=False)
    till.alter(roll_wanted="both" if given else "sign")
    return Said(text["wanted"])


def _screen(till: Till, text: Words, given: Sequence[str]) -> Said:
    state = till.store.load()
    lang = "zh" if text is words("zh") else "en"
    return Said(render(state, till.now(state), lang))


def _switch(fact: str) -> Callable[[Till, Words, Sequence[str]], Said]:
    def turn(till: Till, text: Words, given: Sequence[str]) -> Said:
        if given[0] not in _SWITCH:
            return Said(text["not_understood"], good=False)
        till.alter(**{fact: _SWITCH[given[0]]})
        return Said("")

    return turn


def _network(till: Till, text: Words, given: Sequence[str]) -> Said:
    kinds: Mapping[str, dict[str, Any]] = {
        "off": {"connected": False},
        "on": {"connected": True},
        **{kind: {"connected": True, "network": kind} for kind in ("ethernet", "wifi", "cellular")},
    }
    if given[0] not in kinds:
        return Said(text["not_understood"], good=False)
    till.alter(**kinds[given[0]])
    return Said("")


def _battery(till: Till, text: Words, given: Sequence[str]) -> Said:
    level = given[0]
    if not (level.isascii() and level.isdigit() and int(level) <= 100) or given[1:] not in ([], ["charging"]):
        return Said(text["not_understood"], good=False)
    till.alter(battery=int(level), charging=len(given) == 2)
    return Said("")


VERBS: Final[Mapping[str, Verb]] = {
    "signon": Verb("NUMBER PASSWORD", 2, 2, _sign_on),
    "choose": Verb("NUMBER NEW-PASSWORD", 2, 2, _choose),
    "change": Verb("NUMBER PASSWORD NEW-PASSWORD", 3, 3, _change),
    "forgot": Verb("NUMBER", 1, 1, _forgot),
    "unlock": Verb("NUMBER [ANSWER NEW-PASSWORD]", 1, 3, _unlock),
    "decline": Verb("00 PASSWORD", 2, 2, _decline),
    "screen": Verb("", 0, 0, _screen),
    "busy": Verb("on|off", 1, 1, _switch("busy")),
    "batch": Verb("on|off", 1, 1, _switch("batch")),
    "tamper": Verb("on|off", 1, 1, _switch("tampered")),
    "network": Verb("on|off|ethernet|wifi|cellular", 1, 1, _network),
    "battery": Verb("PERCENT [charging]", 1, 2, _battery),
    "roll": Verb("[both]", 0, 1, _roll),
}
