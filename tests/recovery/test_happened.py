"""The owner's page of the audit trail: all rows about the shop, in words, and none about another."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal import challenges
from portal.accounts import trail_name
from portal.audit import Tag, record
from portal.audit_chain import keyfile
from portal.messaging.outbox import phone_subject
from portal.models import AuditEvent, Channel, Merchant, User
from portal.tasks import sign_audit
from recovery.happened import story
from recovery.happened.words import ALL, BY_TOPIC, NOT_FOR_OWNERS
from recovery.models import Recovery
from terminals.models import Command
from tests.cast import make_merchant, make_other_merchant, make_owner, make_staff, make_terminal, signed_in

pytestmark = pytest.mark.django_db
ENGLISH = {"Accept-Language": "en"}
MOST_QUERIES = 15


@pytest.fixture
def owner() -> User:
    return make_owner()


@pytest.fixture
def browser(owner: User) -> Client:
    return signed_in(owner)


def page(browser: Client, query: str = "") -> str:
    answer = browser.get(f"/happened{query}", headers=ENGLISH)
    assert answer.status_code == 200
    return answer.content.decode()


def lines(browser: Client, query: str = "") -> list[Any]:
    found: list[Any] = browser.get(f"/happened{query}", headers=ENGLISH).context["story"].lines
    return found


def begin(merchant: Merchant, phone: str) -> Recovery:
    terminal = make_terminal(merchant, name=f"till of {merchant.number}")
    return Recovery.objects.create(
        challenge=challenges.open_for("recovery", phone, Channel.SMS, subject=merchant.number),
        merchant=merchant,
        terminal=terminal,
        operator_number="03",
        phone=phone,
        browser_digest=merchant.number,
        identifier=merchant.number,
        expires_at=timezone.now(),
    )


def test_each_kind_of_event_has_its_words_or_is_named_as_not_for_owners() -> None:
    assert ALL.keys() | NOT_FOR_OWNERS == set(Tag)
    assert not ALL.keys() & NOT_FOR_OWNERS
    assert sum(len(words) for words in BY_TOPIC.values()) == len(ALL)


def test_each_kind_is_told_in_words_and_staff_are_support_by_no_name(browser: Client, owner: User) -> None:
    agent = make_staff("agent-zhou")
    for tag in ALL:
        record(tag, actor=f"user:{agent.pk}", merchant=owner.merchant)
    text = page(browser) + page(browser, f"?before={lines_end(browser)}")
    assert [tag for tag in ALL if str(ALL[tag]).split(":")[0] not in text.replace("&#x27;", "'")] == []
    assert "agent-zhou" not in text
    assert {line.who for line in lines(browser)} == {"support"}


def lines_end(browser: Client) -> int:
    older: int = browser.get("/happened").context["story"].older
    return older


def about(merchant: Merchant, owner: User) -> None:
    """A row of each sort about this shop, with all that could tell whose it is."""
    recovery = begin(merchant, merchant.phone)
    terminal = recovery.terminal
    assert terminal is not None
    command = Command.objects.create(
        terminal=terminal, kind="unlock", operator_number="03", requested_by="x", expires_at=timezone.now()
    )
    name = f"user:{owner.pk}"
    record(Tag.RECOVERY_STARTED, actor=f"recovery:{recovery.pk}", subject=recovery.pk)
    record(Tag.RECOVERY_FINISHED, actor="terminal", merchant=merchant, subject=recovery.pk, state="done")
    record(Tag.COMMAND_ISSUED, actor=name, merchant=merchant, subject=command.pk)
    record(Tag.ALERT_RAISED, actor=terminal.pk, merchant=merchant, subject=terminal.pk, kind="tamper")
    record(Tag.RECOVERY_ASKED, actor=terminal.pk, merchant=merchant, operator="05")
    record(Tag.PASSWORD_SET, actor="manage", subject=name)
    record(Tag.SIGN_IN_REFUSED, actor="anonymous", subject=trail_name(owner.username))
    record(Tag.PHONE_UNREACHABLE, actor="system", subject=phone_subject(merchant.phone), error="x")
    record(Tag.TICKET_OPENED, actor="visitor", merchant=merchant, subject=f"T{merchant.number[-4:]}")


def test_the_rows_are_named_as_their_owner_knows_them(browser: Client, owner: User) -> None:
    assert owner.merchant is not None
    about(owner.merchant, owner)
    till, number = f"till of {owner.merchant.number}", Recovery.objects.get().number
    assert [(line.text.split(":")[0], line.about, line.who) for line in lines(browser)] == [
        ("A case was opened", "T0031", "without signing in"),
        ("The registered phone could not be reached", "", "automatic"),
        ("Signing in was refused", "", "without signing in"),
        ("The password of an account was set", "", "support"),
        ("A reset was asked for at the terminal", f"05 · {till}", till),
        ("Something was wrong at a terminal", f"{till} · the terminal was opened by force", till),
        ("A command for the terminal was written", f"unlock 03 · {till}", "you"),
        ("The terminal reported how the reset ended", f"03 · {till} · {number} · done", "the terminal"),
        ("A reset was begun with your number and phone", f"03 · {till} · {number}", "without signing in"),
    ]


def test_another_shop_s_rows_and_names_are_nowhere_whatever_is_asked(browser: Client, owner: User) -> None:
    twin = make_other_merchant()
    about(twin, make_owner(twin, "twin-owner"))
    last = AuditEvent.objects.latest("pk").pk
    for query in (
        "",
        "?about=resets",
        f"?before={last + 1}",
        f"?merchant={twin.pk}",
        "?about=support&before=9",
    ):
        assert lines(browser, query) == []
    # Even a row of ours that names theirs tells no name of theirs.
    theirs = Recovery.objects.get(merchant=twin)
    for subject in (theirs.pk, theirs.terminal_id or "", Command.objects.get().pk):
        record(Tag.COMMAND_ISSUED, actor=theirs.terminal_id or "", merchant=owner.merchant, subject=subject)
    record(Tag.SIGN_IN, actor=f"user:{User.objects.get(username='twin-owner').pk}", merchant=owner.merchant)
    text = page(browser)
    assert [word for word in ("till of", "twin-owner", theirs.number, twin.number) if word in text] == []


def test_a_heading_shows_its_own_rows_and_older_ones_are_a_page_away(browser: Client, owner: User) -> None:
    for number in range(story.PER_PAGE + 3):
        record(Tag.TICKET_OPENED, actor="visitor", merchant=owner.merchant, subject=f"T{number:03}")
        record(Tag.SIGN_OUT, actor=f"user:{owner.pk}", merchant=owner.merchant)
    shown = lines(browser, "?about=support")
    assert [line.about for line in shown] == [f"T{number:03}" for number in range(42, 2, -1)]
    older = browser.get("/happened?about=support").context["story"].older
    rest = browser.get(f"/happened?about=support&before={older}")
    assert [line.about for line in rest.context["story"].lines] == ["T002", "T001", "T000"]
    assert rest.context["story"].older is None
    assert {line.text for line in lines(browser, "?about=account")} == {"Somebody signed out"}


def test_who_guesses_a_thousand_times_is_one_line(browser: Client, owner: User) -> None:
    record(Tag.SIGN_IN, actor=f"user:{owner.pk}", merchant=owner.merchant)
    for _ in range(9):
        record(Tag.SIGN_IN_REFUSED, actor="anonymous", subject=trail_name(" OWNER "))
    assert [line.times for line in lines(browser)] == [9, 1]
    assert "9 times" in page(browser)


@pytest.mark.parametrize(
    "query", ["?before=", "?before=-1", "?before=²", f"?before={'9' * 40}", "?about=%00", "?before=%FF"]
)
def test_what_is_no_place_in_the_list_is_not_minded(browser: Client, owner: User, query: str) -> None:
    record(Tag.SIGN_IN, actor=f"user:{owner.pk}", merchant=owner.merchant)
    assert len(lines(browser, query)) == 1


def test_a_page_costs_the_same_however_much_is_on_it(browser: Client, owner: User) -> None:
    assert owner.merchant is not None
    about(owner.merchant, owner)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            page(browser)
        counts.append(len(queries))
        for number in range(story.PER_PAGE):
            record(Tag.CODES_MADE, actor=f"user:{number}", merchant=owner.merchant, subject=f"K{number}")
    assert max(counts) <= MOST_QUERIES


def test_the_page_says_when_the_trail_was_signed_and_strangers_sign_in_first(
    browser: Client, owner: User, tmp_path: Any, settings: Any
) -> None:
    assert "Last signed" not in page(browser)
    settings.REKEY_ISSUER_KEY_FILE = str(tmp_path)
    keyfile.make_key(tmp_path / keyfile.KEY_FILE)
    record(Tag.SIGN_IN, actor=f"user:{owner.pk}", merchant=owner.merchant)
    sign_audit()
    assert "Last signed today" in page(browser)
    assert Client().get("/happened").status_code == 302
    assert signed_in(make_staff()).get("/happened").status_code in (302, 403)


def test_the_shop_and_the_account_lead_there_and_what_people_typed_is_escaped(owner: User) -> None:
    merchant = make_merchant()
    terminal = make_terminal(merchant, name="<b>till</b>")
    record(Tag.TERMINAL_ADDED, actor=f"user:{owner.pk}", merchant=merchant, subject=terminal.pk)
    browser = signed_in(owner)
    assert "&lt;b&gt;till&lt;/b&gt;" in page(browser)
    assert 'href="/happened"' in browser.get("/home").content.decode()
    assert 'href="/happened?about=account"' in browser.get("/account").content.decode()
