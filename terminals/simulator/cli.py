"""The simulator's command line: run a terminal, sign on at it, look at its screen."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from terminals.simulator.client import SLOWEST, Client, EnrollmentFailed
from terminals.simulator.screen import LANGUAGES, render, words
from terminals.simulator.state import Profile
from terminals.simulator.store import Store
from terminals.simulator.till import SignOn, Till
from terminals.simulator.transport import Clock, Problem, Unreachable

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_FROM_INPUT: Final = "-"
_OPERATOR: Final = re.compile(r"([0-9]{2})=([!-~]{1,64}?)(?::(.{1,40}))?")


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `run`, shared with `manage.py simulateterminal`."""
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="origin of the Rekey server")
    parser.add_argument("--state", type=Path, required=True, help="directory for the terminal's memory")
    parser.add_argument("--pairing-code", default="", help="code, digits or QR text; needed once")
    parser.add_argument("--pair-again", action="store_true", help="pair although it is paired (repair)")
    parser.add_argument(
        "--operator", action="append", default=[], metavar="NO=PASSWORD[:NAME]", help="on a fresh till"
    )
    parser.add_argument("--operators-file", type=Path, help="one NO=PASSWORD[:NAME] per line")
    parser.add_argument("--interval-cap", type=float, default=SLOWEST, help="poll at least this often (s)")
    parser.add_argument("--once", action="store_true", help="make one round and stop")
    parser.add_argument("--lang", choices=LANGUAGES, default="zh")
    parser.add_argument("--keypad", choices=("digits", "full"), default="digits")
    parser.add_argument("--min", type=int, default=4, help="shortest password of an ordinary operator")
    parser.add_argument("--max", type=int, default=6, help="longest password of an ordinary operator")
    parser.add_argument("--serial", default=Profile().serial)


def run(options: argparse.Namespace) -> int:
    """Run a terminal until it is stopped; returns the exit code."""
    clock = Clock()
    till = Till(Store(options.state), clock=clock)
    client = Client(till, clock, interval_cap=options.interval_cap, say=_say)
    _set_up(till, options)
    if not _pair(client, options):
        return 1
    stop = threading.Event()
    handlers = {number: signal.signal(number, lambda *_: stop.set()) for number in _STOPPING}
    if sys.stdin.isatty():
        _show(till, options.lang)
        threading.Thread(target=_keyboard, args=(till, options.lang), daemon=True).start()
    client.run(stop, once=options.once)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return 0


def _set_up(till: Till, options: argparse.Namespace) -> None:
    with till.store.transaction() as state:
        if state.status == "new":
            lengths = {**Profile().lengths, "ordinary": [options.min, options.max]}
            state.profile = Profile(keypad=options.keypad, lengths=lengths, serial=options.serial)
    for entry in _operator_entries(options):
        match = _OPERATOR.fullmatch(entry)
        if match is None:
            raise SystemExit("--operator: NO=PASSWORD[:NAME] wanted")
        till.seed(match[1], match[2], match[3] or match[1])


def _operator_entries(options: argparse.Namespace) -> Iterator[str]:
    yield from options.operator
    if options.operators_file:
        yield from filter(None, options.operators_file.read_text("utf-8").splitlines())


def _pair(client: Client, options: argparse.Namespace) -> bool:
    if client.till.store.load().status != "new" and not options.pair_again:
        return True
    typed = options.pairing_code
    if not typed and sys.stdin.isatty():
        typed = input(f"{words(options.lang)['new']}: ")
    try:
        client.enroll(options.url.rstrip("/"), typed)
    except (Problem, Unreachable, EnrollmentFailed) as error:
        print(f"enrollment: {error}", file=sys.stderr)
    # Keys that are registered but not yet confirmed are confirmed by the loop.
    return client.till.store.load().status != "new"


def _say(line: str) -> None:
    print(line, flush=True)


def _show(till: Till, lang: str) -> None:
    state = till.store.load()
    print(render(state, till.now(state), lang), flush=True)


def _keyboard(till: Till, lang: str) -> None:
    """Read `03 482917` lines; where the choose-screen is open, such a line sets the password."""
    print(words(lang)["hint"], flush=True)
    for line in sys.stdin:
        parts = line.split()
        if len(parts) == 2:
            number, password = parts
            problems = till.choose(number, password)
            if problems in ([], ["closed"]):
                print(_spoken(till.sign_on(number, password), lang), flush=True)
            else:
                print(", ".join(problems), flush=True)
        _show(till, lang)


def _spoken(answer: SignOn, lang: str) -> str:
    text = words(lang)
    said = text["op_is_locked"] if answer.reason == "locked" else text[answer.reason]
    return f"{said}: {text['must_change']}" if answer.must_change else said


def _sign_on(options: argparse.Namespace) -> int:
    answer = Till(Store(options.state)).sign_on(options.number, _password(options))
    print(_spoken(answer, options.lang))
    return 0 if answer.accepted else 1


def _choose(options: argparse.Namespace) -> int:
    problems = Till(Store(options.state)).choose(options.number, _password(options))
    print(", ".join(problems) or "ok")
    return 1 if problems else 0


def _password(options: argparse.Namespace) -> str:
    """The password from the command line, or from standard input when it is `-`."""
    return sys.stdin.readline().rstrip("\n") if options.password == _FROM_INPUT else str(options.password)


def _screen(options: argparse.Namespace) -> int:
    _show(Till(Store(options.state)), options.lang)
    return 0


def _busy(options: argparse.Namespace) -> int:
    Till(Store(options.state)).set_busy(options.value == "on")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """`python -m terminals.simulator`; `signon` and `choose` exit with 0 when accepted, 1 when refused."""
    os.umask(0o077)
    parser = argparse.ArgumentParser(prog="python -m terminals.simulator", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state", type=Path, required=True)
    common.add_argument("--lang", choices=LANGUAGES, default="zh")
    doors = parser.add_subparsers(required=True, metavar="run | signon | choose | screen | busy")
    runner = doors.add_parser("run", help="run a terminal")
    add_run_arguments(runner)
    runner.set_defaults(door=run)
    for name, door in (("signon", _sign_on), ("choose", _choose)):
        sub = doors.add_parser(name, parents=[common])
        sub.add_argument("number")
        sub.add_argument("password", help="the password, or - to read it from standard input")
        sub.set_defaults(door=door)
    doors.add_parser("screen", parents=[common]).set_defaults(door=_screen)
    busy = doors.add_parser("busy", parents=[common])
    busy.add_argument("value", choices=("on", "off"))
    busy.set_defaults(door=_busy)
    options = parser.parse_args(arguments)
    return int(options.door(options))
