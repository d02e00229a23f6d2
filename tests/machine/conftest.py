"""A server that can sign, and that is too busy to tell."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from portal import celery
from terminals.polling import bearers, visits
from tests.terminals.conftest import issuer_keys

__all__ = ["issuer_keys"]


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours pass in a second here: whoever counts by a clock that nobody moves would refuse every poll."""
    travelled = SimpleNamespace(time=time.time, monotonic=time.time)
    for module in (bearers, visits):
        monkeypatch.setattr(module, "time", travelled)


@pytest.fixture(autouse=True)
def no_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works for a queue here: the worker is a rule of the machine, and finds its work in the rows."""
    monkeypatch.setattr(celery.app, "send_task", lambda *args, **kwargs: None)


@pytest.fixture(autouse=True)
def old_and_young() -> Iterator[None]:
    """What is loaded by now stays; looking through it again and again would cost a fifth of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def quiet_logs() -> Iterator[None]:
    """A hundred thousand requests need not be told one by one."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
