"""A browser on its way through the journey, with a worker at hand whenever a test says so."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.test import Client
from django.urls import reverse

from portal.codes import derive_code
from portal.models import Message
from portal.secrets import pepper
from recovery import steps, tasks
from recovery.binding import digest_of
from recovery.models import Recovery
from terminals.requests import Shown
from tests.cast import FUMANLOU, PairedTill, make_merchant, make_terminal, pair_on_paper

SHOP = FUMANLOU["number"]
PHONE = "13800002046"
PASSWORD = "719402"


def make_shop() -> PairedTill:
    """福满楼 with one active till."""
    return pair_on_paper(make_terminal(make_merchant()))


class Visitor:
    """Walks the pages as a browser does, without scripts."""

    def __init__(self, client: Client | None = None) -> None:
        self.client = client or Client()

    @property
    def recovery(self) -> Recovery:
        """The row that this browser's cookie opens, fresh."""
        token = self.client.cookies[settings.RECOVERY_COOKIE_NAME].value
        return Recovery.objects.select_related("challenge").get(browser_digest=digest_of(token))

    @property
    def code(self) -> str:
        """The code that the text message holds."""
        challenge = self.recovery.challenge
        return derive_code(pepper(), challenge.id, challenge.purpose)

    @property
    def wrong_code(self) -> str:
        """Six digits that are not the code."""
        return f"{(int(self.code) + 1) % 10**6:06}"

    def get(self, name: str, *args: str) -> Any:
        """Look at a page."""
        return self.client.get(reverse(f"recovery:{name}", args=args))

    def post(self, name: str, **fields: Any) -> Any:
        """Send a form."""
        return self.client.post(reverse(f"recovery:{name}"), fields)

    def identify(self, shop: str = SHOP, phone: str = PHONE, form: str = "") -> Any:
        """Say which shop and which phone."""
        return self.post("identify", shop=shop, phone=phone, form=form)

    def scan(self, shown: Shown, phone: str = PHONE) -> Any:
        """Scan the QR on a terminal's screen and say which phone."""
        address = shown.qr_page.removeprefix(settings.REKEY_ORIGIN)
        return self.client.post(address, {"phone": phone, "form": ""})

    def prove_at(self, shown: Shown) -> Any:
        """Scan, wait for the text, and type its code; what follows is the match number."""
        self.scan(shown)
        self.worker()
        return self.post("code", code=self.code)

    def ask_offline(self, question: str) -> Any:
        """Type the digits of a terminal without network."""
        return self.post("offline", question=question, subject=steps.subject_mark(self.recovery))

    def worker(self) -> None:
        """The worker looks at this recovery now."""
        tasks.resolve(self.recovery.id)

    def prove(self) -> Any:
        """Identify, wait for the text, and type its code."""
        self.identify()
        self.worker()
        return self.post("code", code=self.code)

    def choose(self, number: str = "03") -> Any:
        """Say whose password."""
        return self.post("operator", operator=number, subject=steps.subject_mark(self.recovery))

    def set_password(self, password: str = PASSWORD, again: str | None = None) -> Any:
        """Type the new password twice."""
        again = password if again is None else again
        mark = steps.subject_mark(self.recovery)
        return self.post("password", new_password=password, again=again, subject=mark)

    def dispatch(self) -> Recovery:
        """Everything up to the command."""
        self.prove()
        self.choose()
        self.set_password()
        return self.recovery


def texts_to(phone: str = "+86" + PHONE, template: str = "code") -> int:
    """How many texts are in the outbox for a phone."""
    return sum(message.phone == phone for message in Message.objects.filter(template=template))
