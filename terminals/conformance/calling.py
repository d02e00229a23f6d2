"""One exchange with a server under test, kept as it was for the report."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from terminals.conformance.rules import Broken, shortened
from terminals.protocol import PATH, ProtocolError, strict_json

# A held poll takes up to 55 s.
_TIMEOUT: Final = 75.0
_ANSWER_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, and the question it answers, as a person would want to read them."""

    question: str
    status: int
    headers: Mapping[str, str]
    raw: bytes
    seconds: float
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The `code` of a refusal; empty if there is none."""
        return str(self.body.get("code", ""))

    @property
    def shown(self) -> str:
        """The answer in short."""
        return f"{self.status} {shortened(self.raw.decode('utf-8', 'replace'))}".strip()

    def broken(self, expected: str, came: str = "") -> Broken:
        """What to raise when this answer is not what it should be."""
        return Broken(self.question, expected, came or self.shown)

    def wanted(self, status: int, code: str = "") -> Heard:
        """The answer itself, if it has that status and code. Raises Broken."""
        if (self.status, self.code) != (status, code) and not (not code and self.status == status):
            raise self.broken(f"{status} {code}".strip())
        return self


def call(
    origin: str,
    method: str,
    path: str,
    message: tuple[bytes | None, Mapping[str, str]],
    what: str,
) -> Heard:
    """Ask with this body and these headers; raises Broken when no HTTP answer comes at all."""
    body, headers = message
    parts = urlsplit(origin)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    line = kind(parts.netloc, timeout=_TIMEOUT)
    question, begun = f"{method} {PATH}/{path}{f', {what}' if what else ''}", time.monotonic()
    try:
        line.request(method, f"{PATH}/{path}", body, dict(headers))
        answer = line.getresponse()
        raw = answer.read(_ANSWER_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise Broken(question, "an HTTP answer", f"{type(error).__name__}: {error}") from None
    finally:
        line.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return Heard(question, answer.status, found, raw, time.monotonic() - begun, _body(found, raw))


def _body(headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    content = headers.get("content-type", "").partition(";")[0].strip()
    if not raw or content not in ("application/json", "application/problem+json"):
        return {}
    try:
        return strict_json(raw)
    except ProtocolError:
        return {}
