"""The poll's look into the inboxes: all terminals that ask in one turn of the loop share one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from portal.redis_pipe import Pipe, Refused, Unreachable, pack
from terminals.inbox import EMPTY, GENERATION, UNTRUSTED, Contents, contents_of

ASK_GENERATION: Final = pack("GET", GENERATION)


class Batch:
    """Questions of one turn, the answers as they come, and who waits for each."""

    __slots__ = ("answers", "askers", "questions")

    def __init__(self) -> None:
        self.questions: list[bytes] = []
        self.askers: list[asyncio.Future[Contents]] = []
        self.answers: list[Any] = []


class Reader:
    """Reads inboxes for one event loop and tells empty ones from lost ones.

    Each batch ends by asking for the generation. One that is the same as at the end of the batch before
    stood all the while in between, so what was read in between was complete. (No generation comes twice, and
    whatever loses an inbox loses the generation with it.) After a change everything is read once more.
    """

    def __init__(self, pipe: Pipe, changed: Callable[[], None]) -> None:
        self._pipe = pipe
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._batch: Batch | None = None
        self._generation: bytes | None = None
        self._last: bytes | None = None

    def read(self, question: bytes) -> asyncio.Future[Contents]:
        """What the inbox holds that this HGETALL asks for. Raises Unreachable."""
        batch = self._batch
        if batch is None:
            batch = self._open()
        asker = self._loop.create_future()
        batch.askers.append(asker)
        batch.questions.append(question)
        self._pipe.send(question, batch.answers.append)
        return asker

    def look(self) -> None:
        """Notice a change of the generation even while nobody reads."""
        if self._batch is None:
            self._open()

    def _open(self) -> Batch:
        # Called before the first question is sent, so that the batch is sealed before the pipe is emptied.
        batch = self._batch = Batch()
        self._loop.call_soon(self._seal, batch)
        return batch

    def _seal(self, batch: Batch) -> None:
        self._batch = None
        self._pipe.send(ASK_GENERATION, partial(self._close, batch))

    def _close(self, batch: Batch, generation: object) -> None:
        if isinstance(generation, Unreachable | Refused):
            _fail(batch, Unreachable(str(generation)))
            return
        known, self._generation = self._generation, generation if isinstance(generation, bytes) else None
        if self._generation is None:
            _hand_out(batch, trusted=False)
        elif self._generation == known:
            _hand_out(batch, trusted=True)
        else:
            self._again(batch)
            self._note_change(self._generation)

    def _note_change(self, generation: bytes) -> None:
        last, self._last = self._last, generation
        if last is not None and last != generation:
            self._changed()

    def _again(self, batch: Batch) -> None:
        batch.answers.clear()
        for question in batch.questions:
            self._pipe.send(question, batch.answers.append)
        self._pipe.send(ASK_GENERATION, partial(self._close, batch))


def _fail(batch: Batch, failure: Unreachable) -> None:
    for asker in batch.askers:
        if not asker.done():
            asker.set_exception(failure)
            asker.exception()  # whoever gave up waiting must not leave an unread failure behind


def _hand_out(batch: Batch, *, trusted: bool) -> None:
    nothing = EMPTY if trusted else UNTRUSTED
    for asker, answer in zip(batch.askers, batch.answers, strict=True):
        if asker.done():
            continue
        if not answer:
            asker.set_result(nothing)
        elif isinstance(answer, list):
            asker.set_result(contents_of([part.decode() for part in answer], trusted=trusted))
        else:
            asker.set_exception(Unreachable(str(answer)))
