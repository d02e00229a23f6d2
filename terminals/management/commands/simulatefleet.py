"""Run thousands of terminals in one process against a Rekey server."""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections, connection

from terminals.commands import CannotIssue
from terminals.fleet import fleet, pairing, unit
from terminals.fleet.figures import Figures
from terminals.fleet.shared import Shared, Untrusted
from terminals.fleet.unit import Unit
from terminals.fleet.wire import Server, Unanswered
from terminals.life import provisioning
from terminals.protocol import WAIT_MAX

MEMORY = "fleet.jsonl"
SLOWEST_S = 3600.0


class Command(BaseCommand):
    """A door to `terminals.fleet`."""

    help = "Run many terminals in one process: real keys, signatures and connections, a few KiB each."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What the fleet is to do."""
        parser.add_argument("--terminals", type=int, default=10_000, help="how many (10000)")
        parser.add_argument("--url", default=settings.REKEY_ORIGIN, help="the server's origin")
        parser.add_argument("--for", type=float, dest="seconds", help="stop after so many seconds")
        parser.add_argument(
            "--pairing-codes",
            type=Path,
            help='pair by the codes in this file, lines "SERIAL,CODE"; a demo needs none',
        )
        parser.add_argument("--state", type=Path, default=settings.REKEY_VAR / "fleet", help="its memory")
        parser.add_argument(
            "--root", default="", help="thumbprint of the issuer's root; else trust on first use"
        )
        parser.add_argument(
            "--interval-cap", type=float, default=SLOWEST_S, help="call at least this often (s)"
        )
        parser.add_argument("--wait-cap", type=float, default=WAIT_MAX, help="have no poll held longer (s)")
        parser.add_argument(
            "--issue", type=float, default=0, help="issue so many passwords a second (demo only)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until the time is up or Ctrl-C, then sum up."""
        try:
            if options["issue"]:
                provisioning.insist_on_demo()
            fleet.allow_connections(options["terminals"])
            figures = asyncio.run(self._run(options))
        except (fleet.TooManyFiles, pairing.NotPaired, provisioning.NotADemo, Untrusted, Unanswered) as error:
            raise CommandError(str(error)) from error
        for line in figures.summary():
            self.stdout.write(line)

    async def _run(self, options: dict[str, Any]) -> Figures:
        server = Server(options["url"].rstrip("/"))
        units = await self._units(server, options)
        shared = Shared(server, Figures(len(units)), options["interval_cap"], options["wait_cap"])
        await shared.pin(options["root"])
        issuer = Issuer(units, shared.figures, options["issue"])
        issuer.start()
        try:
            return await fleet.run(units, shared, seconds=options["seconds"], say=self._say)
        finally:
            issuer.stop()
            unit.save(units, options["state"] / MEMORY)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    async def _units(self, server: Server, options: dict[str, Any]) -> list[Unit]:
        options["state"].mkdir(mode=0o700, parents=True, exist_ok=True)
        memory = options["state"] / MEMORY
        units = list(unit.load(memory))[: options["terminals"]]
        if options["pairing_codes"] is not None:
            known = {one.serial for one in units}
            codes = pairing.read_codes(options["pairing_codes"].read_text("utf-8"))
            fresh = [(serial, code) for serial, code in codes if serial not in known]
            units += await pairing.pair_all(server, fresh[: options["terminals"] - len(units)], self._say)
        elif len(units) < options["terminals"]:
            units += await asyncio.to_thread(_provided, len(units), options["terminals"])
        unit.save(units, memory)
        return units


def _provided(first: int, end: int) -> list[Unit]:
    """Terminals put into the database of a demo. Raises provisioning.NotADemo."""
    try:
        units = provisioning.register([f"F{number:07}" for number in range(first, end)])
    finally:
        connection.close()
    missing = sum(not one.tid for one in units)
    if missing:
        raise provisioning.NotADemo(
            f"{missing} terminals of an earlier fleet are in the database, but their keys are not in this "
            "state folder: name the old one with --state."
        )
    return units


class Issuer:
    """Issues commands at a steady rate in a thread of its own, as merchants would."""

    def __init__(self, units: Sequence[Unit], figures: Figures, per_second: float) -> None:
        self._units = units
        self._figures = figures
        self._per_second = per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin, if anything is to be issued."""
        if self._per_second:
            self._thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += 1 / self._per_second
            close_old_connections()
            self._issue(random.choice(self._units).tid)  # noqa: S311 - any of them
        connection.close()

    def _issue(self, terminal_id: str) -> None:
        note = partial(self._figures.noted, terminal_id)
        try:
            provisioning.reset(terminal_id, f"{secrets.randbelow(10**6):06}", note)
        except CannotIssue as refusal:
            self._figures.errors[f"not issued: {refusal}"] += 1

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
