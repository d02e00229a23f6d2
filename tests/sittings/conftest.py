"""One world for a test, and nobody who writes about it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.db import connection

from tests.sittings import stage
from tests.sittings.browsers import PUZZLE_BITS
from tests.sittings.world import World, a_world


@pytest.fixture
def world(transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Iterator[World]:
    """Rows in memory and hours that somebody moves; no line is written, and what is loaded by now stays."""
    if connection.vendor != "sqlite":
        pytest.skip("it keeps its rows in SQLite's memory, whatever the database is")
    settings.REKEY_PUZZLE_BITS = PUZZLE_BITS
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    try:
        with a_world(monkeypatch) as made:
            stage.world.append(made)
            yield made
            stage.world.pop()
    finally:
        gc.unfreeze()
        logging.disable(logging.NOTSET)
