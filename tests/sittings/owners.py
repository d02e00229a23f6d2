"""What an owner who is signed in does: other phones and addresses, paper, undoing; and the support desk."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from django.utils import timezone

from portal import changes
from portal.models import Address, AddressChange, Merchant
from recovery.models import Objection, Recovery
from terminals.life import stopping
from terminals.models import Command, Terminal
from terminals.protocol import OPEN
from tests.sittings.book import HOLD
from tests.sittings.browsers import Browser
from tests.sittings.people import People
from tests.sittings.watching import Deed
from tests.sittings.world import OWNER_PHONE, post

CARD: Final = re.compile(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}")
PHONES: Final = (OWNER_PHONE, "+8613600005079", "+8613900003057", "+8613700004068")
NAMED: Final = ("owner@example.com", "boss@example.com", "13900003031", "13900003032")


class Owners:
    """The owner's hands, and those who wear them."""

    def __init__(self, people: People) -> None:
        self.people, self.book, self.world = people, people.book, people.world

    def send(self, browser: Browser, path: str, fields: dict[str, Any], deed: Deed | None = None) -> Any:
        """Post to a page of the owner's; a fresh proof is given when one is asked for."""
        answer = browser.post(path, fields, deed)
        where = answer["Location"] if answer.status_code == 302 else ""
        if where.startswith("/account/confirm"):
            app = self.people.app
            code, before = app.code(), app.last_step
            browser.post(where, {"code": code})
            # Who is signed out by now is led away, and the code is not looked at.
            if app.last_step != before:
                app.spend(code)
            answer = browser.post(path, fields, deed)
        return answer

    def change_phone(self, browser: Browser, phone: str) -> None:
        """Another registered phone, as far as the code."""
        self.send(browser, "/proofs/phone", {"to": phone})

    def name(self, browser: Browser, to: str, holder: str) -> None:
        """One more address."""
        self.send(browser, "/proofs/new", {"to": to, "holder": holder, "name": "李姐"})

    def confirm(self, browser: Browser, address: bool) -> None:
        """Have a code sent to what is registered."""
        first = Address.objects.filter(retired_at__isnull=True).order_by("created_at", "pk").first()
        path = f"/proofs/at/{first.pk}/confirm" if address and first is not None else "/proofs/phone/confirm"
        self.send(browser, path, {})

    def remove(self, browser: Browser) -> None:
        """Remove the oldest address."""
        first = Address.objects.filter(retired_at__isnull=True).order_by("created_at", "pk").first()
        if first is None:
            return
        self.send(browser, f"/proofs/at/{first.pk}/remove", {})
        if Address.objects.filter(pk=first.pk, retired_at__isnull=False).exists():
            self.book.shop.gone.add(first.pk)

    def type_code(self, browser: Browser, typed: str) -> None:
        """Type the code that went to the new address."""
        waiting = AddressChange.objects.filter(state="proving", ends_at__gt=timezone.now()).first()
        challenge = str(waiting.challenge_id) if waiting is not None else ""
        code = self.people.code(challenge, typed)
        deed = browser.deed(code_of=challenge if self.people.proves(challenge, code) else "")
        self.send(browser, "/proofs/code", {"code": code}, deed)

    def undo(self, browser: Browser, *, from_start: bool) -> None:
        """Stop a change that stands, from the owner's pages; afterwards the old one holds."""
        order = "requested_at" if from_start else "-requested_at"
        standing = AddressChange.objects.filter(state="standing").order_by(order, "pk").first()
        if standing is None:
            return
        deed = browser.deed(stops=standing.number)
        in_time = standing.ends_at > timezone.now()
        answer = self.send(browser, f"/proofs/undo/{standing.number}", {}, deed)
        if answer.status_code == 302 and answer["Location"] == "/proofs" and in_time:
            standing.refresh_from_db()
            assert standing.state == "stopped", "within 72 hours a change can be undone"

    def veto(self, browser: Browser, phone: str) -> None:
        """Undo the newest change that this phone was told of, without an account; it has to work in time."""
        told = [letter for letter in reversed(post.letters) if letter.to == phone and letter.change]
        change = AddressChange.objects.filter(pk=told[0].change).first() if told else None
        if change is None:
            browser.post("/veto", {"number": "C7F3-K229"})
            return
        standing = change.state == "standing" and change.ends_at > timezone.now()
        answer = browser.post("/veto", {"number": told[0].number}, browser.deed(stops=change.number))
        change.refresh_from_db()
        stopped = answer.status_code == 429 or change.state == "stopped"
        assert stopped or not standing, "whoever was told could not undo it"
        browser.watch.counted["vetoes"] += standing and stopped

    def object(self, browser: Browser, *, newest: bool) -> None:
        """Say with the number of a recovery that it was not us, and type the code that comes."""
        order = "-created_at" if newest else "created_at"
        recovery = Recovery.objects.exclude(merchant=None).order_by(order, "pk").first()
        number = recovery.number if recovery is not None else "R7F3-K229"
        browser.post("/not-me", {"number": number, "to": self.book.shop.phone})
        self.world.work()
        browser.watch.look(Deed())
        said = Objection.objects.order_by("-created_at", "pk").first()
        challenge = str(said.challenge_id) if said is not None else ""
        code = self.people.code(challenge, "right")
        proves = challenge if self.people.proves(challenge, code) else ""
        browser.post("/not-me/code", {"code": code}, browser.deed(code_of=proves, not_me=proves != ""))

    def make_paper(self, browser: Browser) -> None:
        """A new sheet; the one before is worth nothing."""
        before, self.book.shop.paper = self.book.shop.paper, set(self.people.papers[:0])
        answer = self.quietly(browser, "/proofs/paper")
        codes = (
            list(dict.fromkeys(CARD.findall(answer.content.decode()))) if answer.status_code == 200 else []
        )
        self.book.shop.paper = set(codes) or before
        self.people.papers += codes
        browser.watch.look(Deed())

    def quietly(self, browser: Browser, path: str) -> Any:
        """Post without a look in between: what is shown is known only from the answer."""
        answer: Any = browser.client.post(path, {})
        if answer.status_code == 302 and answer["Location"].startswith("/account/confirm"):
            app = self.people.app
            code, before = app.code(), app.last_step
            browser.client.post(answer["Location"], {"code": code})
            if app.last_step != before:
                app.spend(code)
            answer = browser.client.post(path, {})
        assert answer.status_code < 500
        return answer


class Desk:
    """Staff, and the machines at the shop."""

    def __init__(self, people: People) -> None:
        self.people, self.book = people, people.book
        assert people.world.cast is not None
        self.cast = people.world.cast

    def suspend(self) -> None:
        """The shop is suspended, or taken back."""
        shop = self.book.shop
        shop.suspended = not shop.suspended
        status = Merchant.Status.SUSPENDED if shop.suspended else Merchant.Status.ACTIVE
        Merchant.objects.filter(pk=self.cast.shop.pk).update(status=status)

    def replace_phone(self, phone: str) -> None:
        """Support gives the shop another phone, after whatever support has checked."""
        merchant = Merchant.objects.get(pk=self.cast.shop.pk)
        old = merchant.phone
        if phone == old:
            return
        merchant.phone = phone
        merchant.save()
        changes.made_at_desk(merchant, old, "user:staff")
        self.book.shop.phone, self.book.shop.held_until = phone, time.time() + HOLD

    def distrust(self) -> None:
        """Fifty wrong codes were typed for this shop within a month, by whomever."""
        Merchant.objects.filter(pk=self.cast.shop.pk).update(texts_distrusted_at=timezone.now())
        self.book.shop.distrusted = True

    def stop_till(self, index: int) -> None:
        """A terminal is lost, or found."""
        till = Terminal.objects.get(pk=self.cast.tills[index].terminal.pk)
        if till.state == Terminal.State.ACTIVE:
            stopping.quarantine(till, "user:staff")
            self.book.shop.stopped_tills.add(till.pk)
        else:
            stopping.release(till, "user:staff", "found")
            self.book.shop.stopped_tills.discard(till.pk)

    def open_commands(self) -> list[Command]:
        """What the terminals of the shop have not ended, the oldest first."""
        tills = [till.terminal.pk for till in self.cast.tills]
        mine = Command.objects.filter(terminal_id__in=tills, state__in=OPEN)
        return list(mine.order_by("created_at", "pk"))
