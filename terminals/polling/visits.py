"""A poll of a terminal that is known, from the question to the answer.

Ten thousand of them may be under way in one process, and most end with nothing, so a visit has no task, no
timer and no coroutine: it is called when its inbox was read, when there is news, and when its time is over.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping

from portal.redis_pipe import Unreachable
from terminals.inbox import EMPTY, Contents
from terminals.polling import answers
from terminals.polling.answers import Answer, Question
from terminals.polling.bearers import Caller
from terminals.polling.desk import Desk
from terminals.polling.wakeups import News
from terminals.protocol import ProtocolError

# None: nobody is there to hear it.
Outcome = Answer | Exception | None


class Visit(ABC):
    """One poll; who made it is told the outcome by `tell`, once."""

    __slots__ = ("_caller", "_desk", "_etag", "_news", "_open", "_question", "_told", "_until")

    def __init__(
        self, desk: Desk, caller: Caller, question: Question, headers: Mapping[bytes, bytes]
    ) -> None:
        self._desk = desk
        self._caller = caller
        self._question = question
        self._told = headers.get(b"rekey-telemetry", b"")
        self._etag = headers.get(b"if-none-match", b"")
        self._news: asyncio.Future[News] | None = None
        self._until = 0.0
        self._open = True

    @abstractmethod
    def tell(self, outcome: Outcome) -> None:
        """Give the answer, or say why there is none."""

    @abstractmethod
    def has_left(self) -> bool:
        """Whether nobody is there any more to hear it."""

    def begin(self) -> None:
        """Take the question; raises nothing."""
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001 - whatever it is, the terminal gets an answer
            self._end(error)

    def _begin(self) -> None:
        caller, desk = self._caller, self._desk
        early = caller.meter.early(time.monotonic())
        if early:
            desk.note(caller, self._told, time.time(), 429)
            raise ProtocolError("slow_down", retry_after=early)
        if self._question.wait:
            desk.note(caller, self._told, time.time(), caller.status)
            desk.wakeups.start()
            self._until = desk.loop.time() + self._question.wait
            self._listen()
        desk.reader.read(caller.question, self._heard)

    def _listen(self) -> None:
        """Hear of news from now on. First listen, then look: what arrives in between is heard."""
        self._news = self._desk.held.hold(self._caller.terminal_id, self._until)
        self._news.add_done_callback(self._look_again)

    def _look_again(self, waited: asyncio.Future[News]) -> None:
        if not self._open or waited.cancelled():
            return
        news = waited.result()
        self._desk.held.let_go(self._caller.terminal_id, waited)
        if isinstance(news, Contents):
            # Nothing can happen before it is looked at; mostly there is nothing to wait for any more.
            self._news = None
            self._heard(news)
            if self._open:
                self._listen()
            return
        if news is False:
            # The end of its patience: whatever there is now is the answer.
            self._news, self._until = None, 0.0
        else:
            self._listen()
        self._desk.reader.read(self._caller.question, self._heard)

    def _heard(self, contents: Contents | Unreachable) -> None:
        """The inbox as it is, unless it cannot be trusted: then the rows are asked, never a guess."""
        if not self._open:
            return
        if isinstance(contents, Unreachable) or not contents.trusted:
            self._desk.do(self._ask_rows())
            return
        try:
            self._settle(contents)
        except Exception as error:  # noqa: BLE001 - whatever it is, the terminal gets an answer
            self._end(error)

    async def _ask_rows(self) -> None:
        try:
            contents = await self._desk.rows_of(self._caller)
            if self._open:
                self._settle(contents)
        except Exception as error:  # noqa: BLE001 - whatever it is, the terminal gets an answer
            self._end(error)

    def _settle(self, contents: Contents) -> None:
        """Answer, or go on waiting for as long as the terminal has what there is."""
        desk, caller, question, now = self._desk, self._caller, self._question, time.time()
        if self._until and answers.etag_of(contents, question.most) == self._etag:
            return
        if question.wait and self.has_left():
            self._end(None)
            return
        until = None if contents is EMPTY else answers.fast_until(contents, now)
        pace = caller.interval, until, desk.is_calm()
        if not contents.items:
            answer = answers.nothing(*pace)
        else:
            answer = answers.something(contents, question.most, self._etag, pace)
        # The terminal waits, our notes do not.
        self._end(answer)
        desk.note(caller, self._told, now, answer.status)
        desk.notes.fetched(item.jti for item in contents.items[: question.most])

    def _end(self, outcome: Outcome) -> None:
        if self._open:
            self._open = False
            if self._news is not None:
                self._desk.held.let_go(self._caller.terminal_id, self._news)
            self.tell(outcome)
