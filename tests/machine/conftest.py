"""A server that can sign, and that is too busy to tell."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.terminals.conftest import issuer_keys

__all__ = ["issuer_keys"]


@pytest.fixture
def quiet_logs() -> Iterator[None]:
    """A hundred thousand requests need not be told one by one."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
