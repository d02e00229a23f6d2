"""A desk with two people and a caller, walked through its pages as a browser does."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.test import Client
from django.urls import reverse

from portal import stepup
from portal.codes import derive_code
from portal.models import Challenge, Merchant, User
from portal.roles import Role
from portal.secrets import pepper
from recovery.desk import tickets
from recovery.models import Ticket, Verification
from terminals.models import Terminal
from terminals.requests import Shown
from tests.cast import make_member, signed_in

PHONES = {"agent": "+8613800002091", "second": "+8613800002092", "third": "+8613800002093"}


def make_person(name: str) -> User:
    """Somebody at the desk with a phone of their own."""
    person = make_member(name, Role.AGENT, Role.APPROVER)
    person.phone = PHONES[name]
    person.save()
    return person


def make_ticket(merchant: Merchant | None, agent: User | None = None) -> Ticket:
    """A case of the shop, taken by the agent."""
    assert merchant is not None
    ticket = tickets.open_about_shop(merchant, "code", "No text comes", "The caller cannot go on.")
    if agent is not None:
        tickets.assign(ticket, agent)
    return ticket


def now() -> int:
    """A second factor that was given just now."""
    return int(time.time())


def code_of(challenge: Challenge) -> str:
    """The six digits of a challenge, as its text holds them."""
    return derive_code(pepper(), challenge.id, challenge.purpose)


def in_english(client: Client) -> Client:
    """The browser, with the pages in English."""
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    return client


class Desk:
    """One person's browser at the desk."""

    def __init__(self, person: User, *, fresh: bool = True) -> None:
        self.person = person
        self.client = in_english(signed_in(person))
        session = self.client.session
        session[stepup.PROVED] = now() if fresh else now() - stepup.WINDOW_S - 1
        session.save()

    def begin(self, ticket: Ticket, terminal: Terminal, operator: str = "03") -> Verification:
        """Say what the caller wants; the verification that began."""
        address = reverse("admin:recovery_verification_begin", args=[ticket.pk])
        self.client.post(address, {"terminal": terminal.number, "operator": operator})
        return Verification.objects.filter(ticket=ticket).order_by("-created_at")[0]

    def do(self, row: Verification, what: str, **fields: str) -> Any:
        """Press one of the keys of the verification's page."""
        address = reverse("admin:recovery_verification_page", args=[row.pk])
        return self.client.post(address, {"do": what, **fields}, follow=True)

    def look(self, row: Verification) -> str:
        """The page."""
        return self.client.get(reverse("admin:recovery_verification_page", args=[row.pk])).content.decode()

    def read_screen(self, row: Verification, shown: Shown) -> Any:
        """The caller reads code and number from the terminal's screen."""
        return self.do(row, "screen", code=shown.user_code, number=shown.match)


class Caller:
    """The browser of whoever is on the phone."""

    def __init__(self) -> None:
        self.client = in_english(Client())

    def type(self, ticket: Ticket, code: str) -> Any:
        """Type a code on the page for callers."""
        return self.client.post(reverse("recovery:caller"), {"ticket": ticket.number, "code": code})

    def type_texted(self, row: Verification) -> Any:
        """Type the code that came by text."""
        row.refresh_from_db()
        return self.type(row.ticket, code_of(row.recovery.challenge))


def shown_to(desk: Desk, row: Verification) -> str:
    """The digest in the form by which the second person says yes."""
    return desk.look(row).split('name="shown" value="')[1][:64]
