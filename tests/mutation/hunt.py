"""The hunt: run the tests once and note which lines each of them walks; then every mutant in a forked child.

Django, the database and Redis are set up once. A child has the changed code in place of the function that
everybody already holds, runs the tests that walk its line, quickest first, and ends with one that fails.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from django.db import connections

from tests.mutation.mutants import Mutant

ROOT = Path(__file__).resolve().parents[2]
# Work that a child may do, besides so many times that of the tests as they are: what does more never ends.
# And the clock on the wall, for what stands still.
WORK_S, TIMES, WALL_S = 10, 4, 600
KILLED, SURVIVED, BROKEN = 1, 0, 2


@dataclass
class Walk:
    """What one test took, and the lines it walked of the modules that are watched."""

    seconds: float = 0.0
    lines: set[tuple[str, int]] = field(default_factory=set)

    def meets(self, mutant: Mutant) -> bool:
        """Whether it comes by there."""
        return mutant.constant or (str(mutant.path), mutant.line) in self.lines


@dataclass
class Hunt:
    """A pytest plugin that takes the place of the loop over the tests."""

    mutants: list[Mutant]
    tests_of: Callable[[Path], tuple[str, ...]]
    told: Callable[[Mutant, bool], None]
    walks: dict[str, Walk] = field(default_factory=dict)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Note the lines that a test walks, in all its threads."""
        watched = {str(mutant.path) for mutant in self.mutants}
        walk = self.walks.setdefault(item.nodeid, Walk())

        def step(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code.co_filename not in watched:
                return None
            walk.lines.add((frame.f_code.co_filename, frame.f_lineno))
            return step

        before = sys.gettrace()
        threading.settrace(step)
        sys.settrace(step)
        try:
            return (yield)
        finally:
            sys.settrace(before)
            threading.settrace(None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """The tests as they are, which have to pass; then the mutants."""
        items = session.items
        for item, following in pairwise(items):
            began = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.walks.setdefault(item.nodeid, Walk()).seconds = time.process_time() - began
        if session.testsfailed:
            return True
        database = Snapshot()
        for mutant in self.mutants:
            database.restore()
            tests = self._tests(mutant, items)
            most = WORK_S + TIMES * round(sum(self.walks[item.nodeid].seconds for item in tests))
            self.told(mutant, is_killed(mutant, [partial(passes, *pair) for pair in pairwise(tests)], most))
        return True

    def _tests(self, mutant: Mutant, items: list[pytest.Item]) -> list[pytest.Item]:
        """Those that walk the line; a constant's line nobody walks, so all tests of its module."""
        files = tuple(f"tests/{name}::" for name in self.tests_of(mutant.path))
        found = [
            item for item in items if item.nodeid.startswith(files) and self.walks[item.nodeid].meets(mutant)
        ]
        return sorted(found, key=lambda item: self.walks[item.nodeid].seconds)


class Snapshot:
    """The database file as it was before the first mutant."""

    def __init__(self) -> None:
        connections.close_all()
        self._file = Path(connections["default"].settings_dict["NAME"])
        self._kept = self._file.with_suffix(".kept")
        # Tests that need no rows have not made one.
        self._file.touch()
        shutil.copyfile(self._file, self._kept)

    def restore(self) -> None:
        """Put it back, whatever a child has left."""
        for ending in ("-wal", "-shm"):
            Path(f"{self._file}{ending}").unlink(missing_ok=True)
        shutil.copyfile(self._kept, self._file)


def pairwise(items: list[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item]]:
    """Each with the one after it; the first comes "next" after the last, so that what is shared stays."""
    return zip(items, [*items[1:], *items[:1]], strict=True)


def passes(item: pytest.Item, following: pytest.Item) -> bool:
    """Run one test; whether it passed."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def is_killed(mutant: Mutant, tests: list[Callable[[], bool]], work_s: int = WORK_S) -> bool:
    """Whether one of the tests fails, or never ends, when this is changed; nothing is changed here."""
    child = os.fork()
    if child == 0:
        code = BROKEN  # when the change cannot even be made, which must not count as a test that noticed
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (work_s, work_s))
            put_in_place(mutant)
            code = KILLED
            code = SURVIVED if all(test() for test in tests) else KILLED
        finally:
            os._exit(code)
    ended = wait_for(child)
    assert ended != BROKEN, mutant
    return ended != SURVIVED


def wait_for(child: int) -> int:
    """The child's exit code; one that stands still is ended and counts as noticed."""
    until = time.monotonic() + WALL_S
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return KILLED


def put_in_place(mutant: Mutant) -> None:
    """Give the changed code to whoever holds the old one."""
    if mutant.constant:
        change_constant(mutant)
        return
    for code in codes_in(mutant.code):
        if code.co_qualname == mutant.inside:
            for function in functions(code):
                function.__code__ = code


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """All code below a module's."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from codes_in(inner)


def functions(code: CodeType) -> list[FunctionType]:
    """The living functions made from the same place of the same file."""
    # Not isinstance: it would wake lazy objects, some of which fail.
    alive = [each for each in gc.get_objects() if type(each) is FunctionType]
    place = (code.co_filename, code.co_qualname, code.co_firstlineno)
    return [
        each
        for each in alive
        if (each.__code__.co_filename, each.__code__.co_qualname, each.__code__.co_firstlineno) == place
    ]


def change_constant(mutant: Mutant) -> None:
    """Evaluate it anew, and put it wherever the old value was imported to; a table is changed where it is."""
    module = next(each for each in modules() if each.__file__ == str(mutant.path))
    before = dict(vars(module))
    exec(mutant.code, vars(module))
    for name in mutant.inside.strip("()").split(", "):
        old, new = before[name], vars(module)[name]
        if isinstance(old, dict):
            old.clear()
            old.update(new)
            vars(module)[name] = old
        else:
            hand_out(name, old, new)


def hand_out(name: str, old: object, new: object) -> None:
    """Put the new value wherever the old one is known by this name."""
    for other in modules():
        if vars(other).get(name) is old:
            setattr(other, name, new)


def modules() -> list[Any]:
    """What is loaded of our own."""
    ours = ("portal", "terminals", "recovery", "tests")
    loaded = [(name, module) for name, module in sys.modules.items() if name.partition(".")[0] in ours]
    return [module for _, module in loaded if getattr(module, "__file__", None)]
