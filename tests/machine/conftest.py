"""A server that can sign, and that is too busy to tell."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

from tests.machine.chance import chance
from tests.terminals.conftest import issuer_keys

__all__ = ["issuer_keys"]


@pytest.fixture(autouse=True)
def no_chance() -> Iterator[None]:
    """What happens depends on what is drawn by the machine of rules, and on nothing else."""
    with chance.governs():
        yield


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
