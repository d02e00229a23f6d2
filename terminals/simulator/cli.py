"""The simulator's command line: run a terminal, do something at it, look at its screen."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from terminals.simulator.client import SLOWEST, Client, EnrollmentFailed
from terminals.simulator.screen import LANGUAGES, render, words
from terminals.simulator.state import Profile
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from terminals.simulator.transport import Clock, Problem, Unreachable
from terminals.simulator.verbs import VERBS, at_the_keyboard, say

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_OPERATOR: Final = re.compile(r"([0-9]{2})=([!-~]{1,64}?)(?::(.{1,40}))?")
_CLEAR: Final = "\x1b[H\x1b[2J"
_LINES: Final = 6
_REFRESH: Final = 0.5


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


class Display:
    """Lines for a log file, or a screen that is drawn anew when something has changed."""

    def __init__(self, till: Till, lang: str, *, drawn: bool) -> None:
        self.till = till
        self.lang = lang
        self.drawn = drawn
        self._last: deque[str] = deque(maxlen=_LINES)
        self._shown = ""

    def say(self, line: str) -> None:
        """One line of what happens."""
        if not self.drawn:
            print(line, flush=True)
        self._last.extend(line.splitlines())

    def draw(self) -> None:
        """The screen, the last lines, and a prompt; nothing if all is as it was."""
        state = self.till.store.load()
        parts = [render(state, self.till.now(state), self.lang), *self._last, words(self.lang)["hint"]]
        shown = "\n".join(parts)
        if shown != self._shown:
            print(f"{_CLEAR}{shown}\n> ", end="", flush=True)
        self._shown = shown

    def keep_drawing(self, stop: threading.Event) -> None:
        """Draw until told to stop."""
        while not stop.wait(_REFRESH):
            self.draw()

    def read(self, stop: threading.Event) -> None:
        """Obey the keyboard."""
        for line in sys.stdin:
            self.say(at_the_keyboard(self.till, self.lang, line).text)
            self._shown = ""
            self.draw()
            if stop.is_set():
                return


def run(options: argparse.Namespace) -> int:
    """Run a terminal until it is stopped; returns the exit code."""
    clock = Clock()
    till = Till(Store(options.state), clock=clock)
    display = Display(till, options.lang, drawn=sys.stdin.isatty() and sys.stdout.isatty())
    client = Client(till, clock, interval_cap=options.interval_cap, say=display.say)
    _set_up(till, options)
    if not _pair(client, options):
        return 1
    stop = threading.Event()
    handlers = {number: signal.signal(number, lambda *_: stop.set()) for number in _STOPPING}
    if display.drawn:
        for job in (display.keep_drawing, display.read):
            threading.Thread(target=job, args=(stop,), daemon=True).start()
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


def _at_the_machine(options: argparse.Namespace) -> int:
    said = say(Till(Store(options.state)), options.lang, options.verb, options.words)
    if said.text:
        print(said.text)
    return 0 if said.good else 1


def main(arguments: list[str] | None = None) -> int:
    """`python -m terminals.simulator`; a verb exits with 0 when it did what was wanted, else with 1."""
    os.umask(0o077)
    parser = argparse.ArgumentParser(prog="python -m terminals.simulator", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state", type=Path, required=True)
    common.add_argument("--lang", choices=LANGUAGES, default="zh")
    doors = parser.add_subparsers(required=True, metavar=" | ".join(("run", *VERBS)))
    runner = doors.add_parser("run", help="run a terminal")
    add_run_arguments(runner)
    runner.set_defaults(door=run)
    for name, verb in VERBS.items():
        sub = doors.add_parser(name, parents=[common], usage=f"{name} --state DIRECTORY {verb.usage}")
        sub.add_argument("words", nargs="*", help="- is read from standard input, line by line")
        sub.set_defaults(door=_at_the_machine, verb=name)
    options = parser.parse_args(arguments)
    return int(options.door(options))
