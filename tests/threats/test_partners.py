"""Two partners with twin merchants (T40): every address is tried with the other's ids, and tells nothing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent, Merchant, User
from recovery.desk import assisted, attesting, conversation, partners, tickets, verification
from recovery.desk.verification import Refused
from recovery.models import Statement, Ticket, Verification
from terminals import requests
from terminals.models import Command, Terminal
from tests.cast import make_merchant, make_partner, make_store, make_terminal, pair_on_paper, signed_in
from tests.recovery.desk import Caller, Desk, in_english, make_person, now
from tests.recovery.test_enumeration import look
from tests.threats.routes import SAMPLES, Route, routes

pytestmark = pytest.mark.django_db
REST = "551058120777"
KEYS = ("attest", "approve", "deny")


@pytest.fixture(autouse=True)
def wide(settings: Any) -> None:
    settings.REKEY_LIMITS = dict.fromkeys(("caller", "sign-in", "code", "entry", "follow"), "9999/hour")


@dataclass
class Twin:
    """An acquirer's partner, one of its shops, and a caller in each of the two stages."""

    person: User
    shop: Merchant
    terminal: Terminal
    open: Verification
    asked: Verification

    @property
    def marks(self) -> set[str]:
        """What nobody else may read."""
        mine = [self.open, self.asked]
        return {
            *(self.shop.number, self.shop.legal_name, self.shop.masked_phone),
            *(self.terminal.number, self.terminal.pk, self.terminal.serial, self.terminal.store.name),
            *(row.pk for row in mine),
            *(row.ticket.number for row in mine),
            *(row.ticket.subject for row in mine),
            f"said-{self.person.acquirer_code}",
        }

    @property
    def digest(self) -> str:
        """What is shown to a second person of theirs."""
        return assisted.digest_of(self.asked, Command.objects.get(pk=self.asked.recovery.command_id or ""))


def make_twin(code: str, desk: Desk) -> Twin:
    shop = make_merchant(number=code + REST, legal_name=f"shop-{code}", phone=f"+8613{code}002046")
    store = make_store(shop, f"store-{code}")
    till = pair_on_paper(make_terminal(store=store, number=f"A1{code}000", serial=f"RK{code}"))
    rows = []
    for operator in ("03", "00"):
        case = tickets.open_about_shop(shop, "code", f"subject-{code}-{operator}", "…")
        tickets.assign(case, desk.person)
        case.refresh_from_db()
        conversation.reply(case, desk.person, f"said-{code}", version=case.version)
        rows.append(desk.begin(case, till.terminal, operator))
    waiting = rows[1]
    desk.do(waiting, "text")
    Caller().type_texted(waiting)
    desk.read_screen(waiting, requests.open_request(till.terminal, "00"))
    assisted.start(waiting, desk.person, now())
    waiting.refresh_from_db()
    return Twin(make_partner(code, f"bank-{code}"), shop, till.terminal, *rows)


@pytest.fixture
def twins() -> tuple[Twin, Twin]:
    desk = Desk(make_person("agent"))
    return make_twin("898", desk), make_twin("103", desk)


def browser(twin: Twin) -> Client:
    return in_english(signed_in(twin.person))


def state() -> list[Any]:
    """Everything that a partner could have moved."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Verification, Statement, Command, Ticket, Merchant, Terminal)
    ]


def filled(route: Route, other: Twin) -> list[str]:
    """The path with every id of the other twin's that fits."""
    ids = {
        "TerminalId": [other.terminal.pk],
        "MerchantNumber": [other.shop.number],
        "TicketNumber": [row.ticket.number for row in (other.open, other.asked)],
        "IntConverter": [str(other.shop.pk), str(other.person.pk)],
        "SlugConverter": [row.pk for row in (other.open, other.asked)],
        "StringConverter": [other.terminal.pk, other.open.pk, other.open.ticket.pk],
    }
    kinds = [kind for kind in route.kinds.values() if kind in ids]
    if not kinds:
        return [route.path]
    return [route.path.replace(SAMPLES[kind], wanted) for kind in kinds for wanted in ids[kind]]


def seen(answer: Any) -> str:
    streamed = getattr(answer, "streaming", False)
    body = b"".join(answer.streaming_content) if streamed else answer.content
    return body.decode(errors="replace") + str(answer.headers)


def leaks(text: str, other: Twin, asked: str = "") -> set[str]:
    """What of the other twin's is in an answer, but for what the question itself held."""
    return {mark for mark in other.marks if mark in text and mark not in asked}


def without(path: str, answer: Any) -> tuple[Any, ...]:
    """What is seen of an answer, but for the address that was asked."""
    *facts, content = look(answer)
    return *facts, content.replace(path.encode(), b"*").replace(quote(path, safe="").encode(), b"*")


# ── their own desk ──────────────────────────────────────────────────────────────────────────────────────────


def test_T40_every_address_of_the_desk_answers_the_others_ids_as_if_they_were_not_there(
    twins: tuple[Twin, Twin],
) -> None:
    before, tried = state(), 0
    desk = [route for route in routes() if route.name.startswith("recovery:partner") and route.kinds]
    asks = [("get", ""), *(("post", key) for key in KEYS)]
    for (mine, other), route in itertools.product((twins, twins[::-1]), desk):
        client, digest = browser(mine), other.digest
        for path, (method, key) in itertools.product(filled(route, other), asks):
            body = {"do": key, "shown": digest} if key else {}
            # Some headers tell the second, which may end between two answers.
            with time_machine.travel(timezone.now(), tick=False):
                nothing, answer = (getattr(client, method)(where, body) for where in (route.path, path))
            assert answer.status_code == nothing.status_code in {404, 405}, path
            assert leaks(seen(answer), other, path) == set()
            assert without(path, answer) == without(route.path, nothing)
            tried += 1
    assert state() == before
    assert tried >= 40


@pytest.mark.parametrize("state_asked", ["", "all"])
def test_T40_no_search_and_no_page_shows_the_others(twins: tuple[Twin, Twin], state_asked: str) -> None:
    for mine, other in (twins, twins[::-1]):
        client = browser(mine)
        for page in ("partner", "partner_merchants"):
            for asked in ("", "shop", "subject", REST, "%", "_", *sorted(other.marks)):
                found = client.get(
                    reverse(f"recovery:{page}"), {"q": asked, "state": state_asked, "page": "1"}
                )
                assert found.status_code == 200
                assert leaks(seen(found), other, asked) == set(), asked


def test_their_own_is_there(twins: tuple[Twin, Twin]) -> None:
    mine, _other = twins
    shown = browser(mine).get(reverse("recovery:partner")).content.decode()
    assert {row.ticket.number for row in (mine.open, mine.asked)} <= {
        mark for mark in mine.marks if mark in shown
    }
    shop = browser(mine).get(reverse("recovery:partner_merchant", args=[mine.shop.number])).content.decode()
    assert mine.terminal.number in shop and mine.shop.phone not in shop
    case = browser(mine).get(reverse("recovery:partner_ticket", args=[mine.open.ticket.number]))
    assert "said-898" in case.content.decode()


# ── the rest of the site ────────────────────────────────────────────────────────────────────────────────────


def test_T40_no_other_address_of_the_site_tells_a_partner_anything(twins: tuple[Twin, Twin]) -> None:
    mine, other = twins
    client, before = browser(mine), state()
    for route in routes():
        if route.name.startswith("recovery:partner"):
            continue
        paths = sorted({*filled(route, mine), *filled(route, other)})
        for path, method in itertools.product(paths, ("get", "post")):
            answer = getattr(client, method)(path, {"do": "attest"})
            assert answer.status_code != 500, path
            assert leaks(seen(answer), mine, path) | leaks(seen(answer), other, path) == set(), path
        if "sign" in route.name or "language" in route.name:
            client = browser(mine)
    assert state() == before


# ── the verbs themselves ────────────────────────────────────────────────────────────────────────────────────


def test_T40_the_verbs_refuse_the_other_partner_on_record(twins: tuple[Twin, Twin]) -> None:
    mine, other = twins
    tries = (
        lambda: attesting.attest(other.open, mine.person, now()),
        lambda: assisted.approve(other.asked, mine.person, now(), other.digest),
        lambda: assisted.deny(other.asked, mine.person, now()),
        lambda: assisted.start(other.open, mine.person, now()),
        lambda: assisted.start(mine.open, mine.person, now()),
        lambda: verification.start(mine.open.ticket, mine.person, mine.terminal.number, "03"),
    )
    before = state()
    for attempt in tries:
        with pytest.raises(Refused):
            attempt()
    assert state() == before
    actor = f"user:{mine.person.pk}"
    assert AuditEvent.objects.filter(tag=Tag.VERIFICATION_REFUSED, actor=actor).count() == len(tries)


def test_T40_a_ticket_whose_shop_is_only_typed_belongs_to_no_partner(twins: tuple[Twin, Twin]) -> None:
    Ticket.objects.filter(pk=twins[0].open.ticket_id).update(merchant=None)
    assert not partners.tickets_of(twins[0].person).filter(pk=twins[0].open.ticket_id).exists()


def test_T40_who_is_no_partner_reaches_nothing_by_a_partners_queries(twins: tuple[Twin, Twin]) -> None:
    everybody = [make_person("second"), User(username="nobody")]
    everybody.append(User.objects.get(pk=twins[0].person.pk))
    everybody[-1].is_active = False
    for person in everybody:
        for rows in (partners.merchants_of, partners.terminals_of, partners.tickets_of):
            assert not rows(person).exists()
        assert not partners.verifications_of(person).exists()
