"""The poll's look into the inboxes: all terminals that ask in one turn of the loop share one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from portal.redis_pipe import Pipe, Refused, Unreachable, pack
from terminals.inbox import EMPTY, GENERATION, UNTRUSTED, Contents, contents_of

log = structlog.get_logger(__name__)
ASK_GENERATION: Final = pack("GET", GENERATION)
Receiver = Callable[[Contents | Unreachable], object]


class Batch:
    """Questions of one turn, the answers as they come, and who is told each."""

    __slots__ = ("answers", "questions", "receivers")

    def __init__(self) -> None:
        self.questions: list[bytes] = []
        self.receivers: list[Receiver] = []
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

    def read(self, question: bytes, receiver: Receiver) -> None:
        """Have `receiver` called with what the inbox holds that this HGETALL asks for."""
        batch = self._batch or self._open()
        batch.questions.append(question)
        batch.receivers.append(receiver)

    def look(self) -> None:
        """Notice a change of the generation even while nobody reads."""
        if self._batch is None:
            self._open()

    def _open(self) -> Batch:
        batch = self._batch = Batch()
        self._loop.call_soon(self._seal, batch)
        return batch

    def _seal(self, batch: Batch) -> None:
        self._batch = None
        self._ask(batch)

    def _ask(self, batch: Batch) -> None:
        self._pipe.send_all(batch.questions, batch.answers.append)
        self._pipe.send(ASK_GENERATION, partial(self._close, batch))
        # This turn had its time to collect; another would only add to how long everybody waits.
        self._pipe.flush()

    def _close(self, batch: Batch, generation: object) -> None:
        if isinstance(generation, Unreachable | Refused):
            _hand_out(batch, [Unreachable(str(generation))] * len(batch.receivers))
            return
        known, self._generation = self._generation, generation if isinstance(generation, bytes) else None
        if self._generation is None:
            _hand_out(batch, [_contents(answer, trusted=False) for answer in batch.answers])
        elif self._generation == known:
            _hand_out(batch, [_contents(answer, trusted=True) for answer in batch.answers])
        else:
            batch.answers.clear()
            self._ask(batch)
            self._note_change(self._generation)

    def _note_change(self, generation: bytes) -> None:
        last, self._last = self._last, generation
        if last is not None and last != generation:
            self._changed()


def _contents(answer: Any, *, trusted: bool) -> Contents | Unreachable:
    if not answer:
        return EMPTY if trusted else UNTRUSTED
    if isinstance(answer, list):
        return contents_of([part.decode() for part in answer], trusted=trusted)
    return Unreachable(str(answer))


def _hand_out(batch: Batch, contents: list[Contents | Unreachable]) -> None:
    for receiver, answer in zip(batch.receivers, contents, strict=True):
        try:
            receiver(answer)
        except Exception:
            # One that fails must not keep the others from hearing theirs.
            log.exception("poll_failed")
