"""Acts that the kit cannot do over the wire: somebody's hands at the terminal, or the server's owner."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Final

from terminals.conformance.rules import CannotTell

_TIMEOUT: Final = 120.0


class Nobody:
    """There are no hands: every rule that needs some is not run."""

    def need(self, verb: str) -> None:
        """Raises CannotTell if it is clear beforehand that nobody does this."""
        raise CannotTell(f"it needs hands, by --ask or --hands, for this: {verb}")

    def act(self, verb: str, *words: str) -> str:
        """Do it and return what was said. Raises CannotTell."""
        self.need(verb)
        return ""


def _typed(prompt: str) -> str:
    """What somebody types; standard output is for what was found."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return input()


@dataclass(slots=True)
class Person(Nobody):
    """Somebody sits in front of this screen and does what is asked."""

    asks: Mapping[str, str]
    read: Callable[[str], str] = _typed

    def need(self, verb: str) -> None:
        """There is somebody."""

    def act(self, verb: str, *words: str) -> str:
        """Ask, and wait for the answer; `-` means that it cannot be done."""
        told = self.asks.get(verb, verb).format(*words)
        try:
            answer = self.read(f"  → {told}\n    Enter when done, or - if it cannot be done: ").strip()
        except EOFError:
            raise CannotTell(f"nobody is there to do this: {told}") from None
        if answer == "-":
            raise CannotTell(f"nobody could do this: {told}")
        return answer


@dataclass(slots=True)
class Program(Nobody):
    """A command of yours, called with the verb and its words; what it prints is the answer."""

    command: str

    def need(self, verb: str) -> None:
        """It may be able to."""

    def act(self, verb: str, *words: str) -> str:
        """Run it. Exit code 3 says that it cannot do this. Raises CannotTell."""
        command = [*shlex.split(self.command), verb, *words]
        # Files, not pipes: what the command leaves running behind it may keep them open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            code = self._code(command, out, err)
            if code:
                sys.stderr.write(_all_of(err))
                raise CannotTell(f"`{self.command} {verb}` could not: exit code {code}")
            return _all_of(out).strip()

    def _code(self, command: list[str], out: IO[str], err: IO[str]) -> int:
        try:
            done = subprocess.run(  # noqa: S603 - it is the caller's own command
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=_TIMEOUT, check=False
            )
        except OSError as error:
            raise CannotTell(f"`{self.command}` cannot be run: {error}") from None
        except subprocess.TimeoutExpired:
            raise CannotTell(f"`{shlex.join(command)}` did not end within {_TIMEOUT:.0f} s") from None
        return done.returncode


def _all_of(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


@dataclass(slots=True)
class Ready(Nobody):
    """Hands made of functions, for who calls the kit from Python."""

    verbs: Mapping[str, Callable[..., str | None]] = field(default_factory=dict)

    def need(self, verb: str) -> None:
        """Whether there is such a function. Raises CannotTell."""
        if verb not in self.verbs:
            Nobody.need(self, verb)

    def act(self, verb: str, *words: str) -> str:
        """Call the function of this name. Raises CannotTell if there is none."""
        if verb not in self.verbs:
            return Nobody.act(self, verb, *words)
        return self.verbs[verb](*words) or ""
