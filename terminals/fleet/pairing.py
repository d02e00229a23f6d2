"""Pairing a fleet with codes, one terminal each, through the same door as a real one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from terminals import jose, pairing
from terminals.fleet.shared import PATIENCE_S
from terminals.fleet.unit import FIRMWARE, Unit
from terminals.fleet.wire import Answer, Server
from terminals.protocol import TYP_ENROLL, strict_json
from terminals.simulator import transport
from terminals.simulator.identity import enroll_claims, read_enrollment
from terminals.simulator.state import Profile

AT_ONCE: Final = 8
TRIES: Final = 20
RETRY_S: Final = 5


class NotPaired(Exception):
    """The server did not accept a pairing code; the text says which terminal and why."""


def read_codes(text: str) -> list[tuple[str, str]]:
    """Serial number and code from lines "SERIAL,CODE"; or a code alone, with a serial number of ours."""
    found = []
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines()))):
        serial, comma, code = line.partition(",")
        found.append((serial.strip(), code.strip()) if comma else (f"F{number:07}", line))
    return found


async def pair_all(
    server: Server, codes: Sequence[tuple[str, str]], say: Callable[[str], None]
) -> list[Unit]:
    """Enroll and confirm one terminal for each code. Raises NotPaired, Unanswered."""
    gate = asyncio.Semaphore(AT_ONCE)
    done = 0

    async def one(serial: str, code: str) -> Unit:
        nonlocal done
        async with gate:
            unit = await pair(server, serial, code)
        done += 1
        if done % 100 == 0 or done == len(codes):
            say(f"paired {done:,} of {len(codes):,}")
        return unit

    return list(await asyncio.gather(*(one(serial, code) for serial, code in codes)))


async def pair(server: Server, serial: str, typed: str) -> Unit:
    """Enroll one terminal with new keys, and prove both of them. Raises NotPaired, Unanswered."""
    unit = Unit.fresh(serial)
    scanned = pairing.parse_qr(typed)
    code, root = (scanned.code, scanned.root) if scanned else (typed, None)
    claims = enroll_claims(
        server.origin,
        code,
        jose.public_jwk(unit.open_key),
        Profile(serial=serial, fw=FIRMWARE),
        int(time.time()),
    )
    token = jose.sign(claims, TYP_ENROLL, unit.sign_key, embed_jwk=True)
    answer = await _post(server, "enroll", {"Content-Type": "application/jose"}, token.encode(), serial)
    enrolled = transport.Answer(answer.status, answer.headers, strict_json(answer.body))
    found = read_enrollment(enrolled, server.origin, (unit.sign_key, unit.open_key), root)
    unit.tid = found.tid
    bearer, _renew_at = unit.bearer(server.origin, int(time.time()))
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {bearer}"}
    await _post(server, "enroll/confirm", headers, json.dumps({"nonce": found.nonce}).encode(), serial)
    return unit


async def _post(server: Server, path: str, headers: Mapping[str, str], body: bytes, serial: str) -> Answer:
    """Ask until the server has time for us: many at once are asked to come back later."""
    for _ in range(TRIES):
        line = await server.connect(PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            answer = await line.ask(server.request("POST", path, headers, body))
        line.close()
        if answer.status in (200, 201, 204):
            return answer
        if answer.status not in (429, 503):
            break
        retry = answer.headers.get("retry-after", "")
        await asyncio.sleep(int(retry) if retry.isdecimal() else RETRY_S)
    raise NotPaired(f"{serial}: {path} was answered {answer.status} {answer.body[:200]!r}")
