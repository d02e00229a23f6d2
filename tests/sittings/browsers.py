"""Browsers with real pages in them: what was printed stays in old tabs, and may be sent at any time."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.test import Client
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.oath import hotp

from portal import puzzles
from portal.devices import SMSDevice, TOTPDevice
from recovery.binding import digest_of
from tests.sittings.watching import Deed, Watch
from tests.sittings.world import Cast

HIDDEN: Final = re.compile(r'<input type="hidden" name="(subject|form|puzzle)" value="([^"]*)"')
PUZZLE: Final = re.compile(r'data-puzzle="([^"]+)"')
ANSWERS: Final = frozenset({200, 204, 302, 400, 403, 404, 405, 410, 429})
HOPS = 6
PUZZLE_BITS = 2


@dataclass(frozen=True)
class Tab:
    """A page as it was printed: where, what it holds unseen, and what it was about."""

    path: str
    hidden: dict[str, str]
    about: tuple[str, str]


@dataclass
class Browser:
    """One browser, at an address of its own."""

    name: str
    address: str
    watch: Watch
    signed_in: bool = False
    tabs: list[Tab] = field(default_factory=list)
    known_for: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.client = Client(
            REMOTE_ADDR=self.address, HTTP_ACCEPT_LANGUAGE="en", raise_request_exception=False
        )

    # --- which recovery -------------------------------------------------------------------------------------

    @property
    def cookie(self) -> str:
        """What opens its recovery."""
        found = self.client.cookies.get(settings.RECOVERY_COOKIE_NAME)
        return found.value if found is not None else ""

    @property
    def row(self) -> dict[str, Any] | None:
        """Its recovery as it was at the last look, if its cookie still opens one."""
        digest = digest_of(self.cookie) if self.cookie else ""
        mine = (row for row in self.watch.rows.recoveries.values() if row["browser_digest"] == digest)
        return next(mine, None)

    @property
    def about(self) -> tuple[str, str]:
        """Terminal and operator that are chosen."""
        row = self.row
        return (row["terminal_id"] or "", row["operator_number"]) if row else ("", "")

    # --- requests -------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """Look at a page and keep it as a tab."""
        answer = self._ask("get", path, {}, self.deed())
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            hidden = dict(HIDDEN.findall(answer.content.decode()))
            self.tabs.append(Tab(path, hidden, self.about))
        return answer

    def post(self, path: str, fields: dict[str, Any], deed: Deed | None = None) -> Any:
        """Send a form."""
        return self._ask("post", path, fields, deed or self.deed())

    def deed(self, **facts: Any) -> Deed:
        """What a request of this browser may do: lead its own recovery on, for what was chosen there."""
        row = self.row
        return Deed(**{"by": "browser", "recovery": row["id"] if row else "", "about": self.about, **facts})

    def _ask(self, how: str, path: str, fields: dict[str, Any], deed: Deed) -> Any:
        answer: Any = getattr(self.client, how)(path, fields)
        self.watch.counted["requests"] += 1
        failed = repr(getattr(answer, "exc_info", None))[:2000]
        assert answer.status_code in ANSWERS, f"{how} {path}: {answer.status_code} {failed}"
        self.watch.counted[f"answers {answer.status_code}"] += 1
        self.watch.look(deed)
        return answer

    def where(self) -> str:
        """The page on which its recovery stands; empty for none. It is never sent in circles."""
        path = "/code"
        for _ in range(HOPS):
            answer = self.get(path)
            if answer.status_code != 302:
                return path if answer.status_code == 200 else ""
            path = answer["Location"]
        raise AssertionError(f"no way out of {path}")

    def tab(self) -> Tab:
        """The page it looked at last."""
        return self.tabs[-1]

    # --- who it is ------------------------------------------------------------------------------------------

    def sign_in(self, cast: Cast) -> None:
        """The owner signs in here; how that is proved is other tests' business."""
        self.client.force_login(cast.owner)
        session = self.client.session
        session[DEVICE_ID_SESSION_KEY] = SMSDevice.objects.get(user=cast.owner).persistent_id
        session.save()
        self.signed_in = True

    def solve(self, answer: Any, path: str, fields: dict[str, str]) -> Any:
        """Do the sum of a puzzle page, if it is one, and send the form once more."""
        found = PUZZLE.search(answer.content.decode()) if answer.status_code == 200 else None
        if found is None:
            return answer
        text = found[1]
        number = next(n for n in itertools.count() if puzzles.zero_bits(f"{text}:{n}") >= PUZZLE_BITS)
        return self.post(path, {**fields, "puzzle": text, "answer": number}, Deed())


class App:
    """The owner's authenticator app, which anybody may hold in these stories."""

    def __init__(self, cast: Cast) -> None:
        self.key = base64.b32decode(cast.app_seed)
        self.id = str(cast.app_id)
        self.used = -1

    @property
    def last_step(self) -> int:
        """The half minute whose code the server took last."""
        return int(TOTPDevice.objects.values_list("last_step", flat=True).get(pk=self.id))

    def code(self, steps_ago: int = 0) -> str:
        """What it shows now, or showed some half minutes ago."""
        return f"{hotp(self.key, int(time.time()) // 30 - steps_ago, 6):06}"

    def counts(self, typed: str) -> bool:
        """Whether this is a code of now that was not used, nor one after it."""
        now = int(time.time()) // 30
        fresh = [step for step in (now - 1, now, now + 1) if f"{hotp(self.key, step, 6):06}" == typed]
        return bool(fresh) and fresh[-1] > self.used

    def spend(self, typed: str) -> None:
        """It was taken."""
        now = int(time.time()) // 30
        steps = [step for step in (now - 1, now, now + 1) if f"{hotp(self.key, step, 6):06}" == typed]
        self.used = max([self.used, *steps])


def signature(cast: Cast, options: Any) -> str:
    """What the owner's authenticator answers to a page that asks for a passkey."""
    return cast.authenticator.sign(json.loads(options.content))
