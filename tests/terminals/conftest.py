"""A server that can sign and a till that is paired with it; and the same without our server, from outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from terminals.conformance.server import serving
from terminals.keys import issuer
from terminals.keys.keyfiles import SIGNING_FILE
from tests.cast import PairedTill, pair_on_paper
from tests.terminals.machines import KeyedServer, Machine, paired


@pytest.fixture
def issuer_keys(db: None, tmp_path: Path, settings: Settings) -> Path:
    """Issuer keys, and a process that is told where the signing key lies, as a worker is."""
    issuer.init_keys(tmp_path / "issuer")
    settings.REKEY_ISSUER_KEY_FILE = str(tmp_path / "issuer" / SIGNING_FILE)
    return tmp_path / "issuer"


@pytest.fixture
def till(issuer_keys: Path) -> PairedTill:
    """The front desk's till: paired, its five operators known."""
    return pair_on_paper()


@pytest.fixture
def server() -> Iterator[KeyedServer]:
    """A server that speaks the protocol, with fixed keys."""
    with serving(KeyedServer()) as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path, server: KeyedServer) -> Iterator[Machine]:
    """A simulated terminal that is paired with it."""
    machine = paired(tmp_path / "till", server)
    yield machine
    machine.power_off()
