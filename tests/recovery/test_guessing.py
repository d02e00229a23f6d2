"""Slow and fleet-wide guessing (T12): budgets that no success gives back, and what is left to owners."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import LazySettings

from portal import guessing
from portal.audit import Tag
from portal.challenges import check, open_challenge
from portal.codes import derive_code
from portal.limits import sweep_allowances
from portal.models import Allowance, AuditEvent, Challenge, Merchant
from portal.secrets import pepper
from recovery.models import Ticket
from terminals import requests
from tests.cast import PairedTill, make_merchant, make_other_merchant
from tests.portal.parallel import in_parallel
from tests.recovery.visitor import PHONE, Visitor, make_shop

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
E164 = "+86" + PHONE


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


def guess(times: int, phone: str = E164, *, real: bool = True) -> None:
    """Type so many wrong codes, five to a challenge."""
    for number in range(times):
        if number % 5 == 0:
            challenge = open_challenge("recovery", "rec_1", phone)
        wrong = f"{(int(right(challenge)) + 1) % 10**6:06}"
        assert check(challenge.id, "recovery", "rec_1", wrong, accept=real).reason == "wrong"


def right(challenge: Challenge) -> str:
    return derive_code(pepper(), challenge.id, challenge.purpose)


def succeed(phone: str = E164) -> None:
    challenge = open_challenge("recovery", "rec_1", phone)
    assert check(challenge.id, "recovery", "rec_1", right(challenge)).ok


def distrusted() -> bool:
    return Merchant.objects.get().texts_distrusted_at is not None


def tags() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("tag", flat=True))


# ── one shop, thirty days ───────────────────────────────────────────────────────────────────────────────────


def test_T12_fifty_wrong_codes_in_thirty_days_and_a_success_gives_none_back(till: PairedTill) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(7):
            guess(7)
            succeed()
            clock.shift(timedelta(days=4))
        assert not distrusted()
        guess(1)
        assert distrusted()
    assert tags().count("portal:merchant:texts-distrusted") == 1


def test_T12_what_is_older_than_thirty_days_is_forgotten(till: PairedTill) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        guess(49)
        clock.shift(timedelta(days=31))
        sweep_allowances(time.time())
        guess(49)
        assert not distrusted()


def test_T12_the_sweeper_keeps_what_is_still_counted(till: PairedTill) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        guess(49)
        clock.shift(timedelta(days=29))
        sweep_allowances(time.time())
        guess(1)
        assert distrusted()
        clock.shift(timedelta(days=33))
        sweep_allowances(time.time())
    assert not Allowance.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_T12_the_fiftieth_of_sixty_at_once_is_noticed() -> None:
    make_shop()
    in_parallel(60, lambda: guess(1), width=12)
    assert distrusted()
    assert tags().count("portal:merchant:texts-distrusted") == 1
    assert sum(Allowance.objects.filter(limit="wrong-codes-per-phone").values_list("taken", flat=True)) == 60


def test_T12_strangers_cannot_have_a_shop_distrusted(till: PairedTill) -> None:
    guess(60, real=False)
    guess(60, phone="+8613800007777", real=False)
    assert not distrusted()
    assert guessing.everybody_waits() == 0


def test_T12_a_right_code_alone_opens_nothing_then_and_the_page_names_the_other_ways(
    till: PairedTill,
) -> None:
    guess(50)
    visitor = Visitor()
    visitor.prove()
    answer = visitor.choose()
    assert answer.url == "/prove/03"
    page = visitor.client.get("/prove/03", headers={"Accept-Language": "en"}).content.decode()
    assert "many wrong codes for this shop" in page
    assert 'value="possession"' in page and 'href="/support"' in page
    assert visitor.set_password().status_code == 302
    assert visitor.recovery.command_id is None


def test_T12_whoever_stands_at_the_till_gets_in_and_texts_count_again(till: PairedTill) -> None:
    guess(50)
    shown = requests.open_request(till.terminal, "03")
    visitor = Visitor()
    visitor.prove_at(shown)
    visitor.post("match", number=shown.match)
    visitor.set_password()
    assert visitor.recovery.command_id is not None
    assert not distrusted()
    guess(1)
    assert distrusted(), "the fifty are still within their thirty days"


# ── everybody, one day ──────────────────────────────────────────────────────────────────────────────────────


def test_T12_after_the_days_budget_nobody_is_let_in_by_a_text_until_midnight(
    till: PairedTill, settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {"wrong-codes-overall": "20/day"}
    with time_machine.travel(NOON, tick=True) as clock:
        guess(20, phone="+8613800007777")
        assert 12 * 3600 - 60 < guessing.everybody_waits() <= 12 * 3600
        visitor = Visitor()
        visitor.prove()
        assert visitor.choose().url == "/prove/03"
        page = visitor.client.get("/prove/03", headers={"Accept-Language": "en"}).content.decode()
        assert "on a large scale" in page and "11-25 08:00" in page
        clock.shift(timedelta(hours=12))
        another = Visitor()
        another.prove()
        assert another.choose().url == "/password"


def test_T12_staff_are_told_once_a_day(till: PairedTill, settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"wrong-codes-overall": "20/day"}
    with time_machine.travel(NOON, tick=False):
        guess(19)
        assert not Ticket.objects.exists()
        guess(6)
    assert Ticket.objects.get().step == "guard"
    assert "portal:codes:guessing-alarm" in tags()


def test_T12_the_figures_of_the_budgets() -> None:
    """Expected hits: budget × 10⁻⁶, a day and a month."""
    from_all = guessing.rate_of(guessing.OVERALL)
    from_one = guessing.rate_of(guessing.PER_PHONE)
    assert (from_all.get_expiry(), from_all.amount) == (86_400, 10_000)
    assert (from_one.get_expiry(), from_one.amount) == (30 * 86_400, 50)
    assert from_all.amount * 1e-6 == pytest.approx(0.01)
    assert from_one.amount * 1e-6 == pytest.approx(5e-5)


# ── whose texts, and on whose word ──────────────────────────────────────────────────────────────────────────


def test_T12_every_shop_with_this_phone_is_distrusted_no_other_and_it_is_on_record(till: PairedTill) -> None:
    twin, other = make_merchant(number="898440158120077", phone=E164), make_other_merchant()
    guess(50)
    distrusting = AuditEvent.objects.filter(tag="portal:merchant:texts-distrusted")
    shop = till.terminal.store.merchant
    assert {event.merchant_id for event in distrusting} == {shop.pk, twin.pk}
    assert [(event.actor, event.facts) for event in distrusting] == [
        ("system", {"limit": "wrong-codes-per-phone"})
    ] * 2
    other.refresh_from_db()
    assert other.texts_distrusted_at is None


def test_T12_a_shop_is_trusted_again_by_itself_once_and_on_somebodys_word(till: PairedTill) -> None:
    twin, shop = make_merchant(number="898440158120077", phone=E164), till.terminal.store.merchant
    guess(50)
    assert guessing.trust_again(shop, "user:7") is True
    assert guessing.trust_again(shop, "user:7") is False
    event = AuditEvent.objects.get(tag="portal:merchant:texts-trusted")
    assert (event.actor, event.merchant_id) == ("user:7", shop.pk)
    twin.refresh_from_db()
    shop.refresh_from_db()
    assert (shop.texts_distrusted_at, twin.texts_distrusted_at is None) == (None, False)


def test_T12_the_alarm_of_the_whole_fleet_names_its_budget(till: PairedTill, settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"wrong-codes-overall": "20/day"}
    guess(20, phone="+8613800007777")
    assert AuditEvent.objects.get(tag=Tag.GUESSING_ALARM.value).facts == {"limit": "wrong-codes-overall"}
