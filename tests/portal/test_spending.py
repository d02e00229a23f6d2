"""Dial codes and money: opted into, capped, and spent before anything is sent (T15)."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.core.exceptions import ValidationError

from portal import dialling, spending, texting
from portal.checks import prices_and_caps_are_numbers
from portal.forms import PhoneField
from portal.limits import look, take
from portal.messaging import outbox
from portal.messaging.gateways import Accepted, Parcel
from portal.messaging.outbox import deliver, queue_message
from portal.models import Allowance, AuditEvent, Channel, Message
from portal.texting import Ask
from recovery.models import Ticket
from tests.cast import make_merchant
from tests.portal.parallel import in_parallel

pytestmark = pytest.mark.django_db
AT_HOME, IN_HONG_KONG = "+8613800002046", "+85251234567"


class Counting:
    """Carries nothing and counts."""

    name = "counting"

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, parcel: Parcel) -> Accepted:
        self.sent.append(parcel.to)
        return Accepted(f"id-{len(self.sent)}")


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr(outbox, "gateway", lambda channel, name: made)
    return made


def queued(phone: str = AT_HOME, template: str = "applied", *, known: bool = False) -> Message:
    facts = {"terminal": "A1", "operator": "03", "number": "R7F3-K229", "hotline": "400", "code": "1"}
    return queue_message(template, phone, "en", facts=facts, known_source=known)


def ask(number: int, phone: str = IN_HONG_KONG) -> str:
    merchant = make_merchant(number=f"89844015812{number:04}", phone=phone)
    return texting.refusal(Ask(f"{phone[:-3]}{number:03}", f"10.0.{number}.0/24", merchant))


# ── countries ───────────────────────────────────────────────────────────────────────────────────────────────


def test_T15_texts_go_to_mainland_china_and_nowhere_else_unless_somebody_said_so(carrier: Counting) -> None:
    assert dialling.is_open(AT_HOME)
    assert not dialling.is_open(IN_HONG_KONG)
    assert not dialling.is_open("not a number")
    assert ask(1) == "sms-per-dial-code"
    with pytest.raises(ValidationError):
        PhoneField().clean("+852 5123 4567")
    message = queued(IN_HONG_KONG)
    assert not deliver(message.id)
    message.refresh_from_db()
    assert (message.state, message.error, carrier.sent) == ("failed", "dial_code", [])


def test_T15_a_country_that_was_opted_into_has_a_cap_of_its_own(settings: LazySettings) -> None:
    settings.REKEY_DIAL_CODES = {"852": "3"}
    assert PhoneField().clean("+852 5123 4567") == IN_HONG_KONG
    assert [ask(number) for number in range(1, 6)] == [""] * 3 + ["sms-per-dial-code"] * 2
    assert ask(9, AT_HOME) == ""


def test_T15_home_can_be_shut_as_well(settings: LazySettings) -> None:
    settings.REKEY_DIAL_CODES = {"86": "0"}
    assert ask(1, AT_HOME) == "sms-per-dial-code"


@pytest.mark.parametrize(
    "typed", ["+1 876 555 0000", "+86 10 8888 8888", "+0 123", "+852", "00852 5123 4567"]
)
def test_a_number_elsewhere_is_an_error_of_the_form(typed: str) -> None:
    with pytest.raises(ValidationError):
        PhoneField().clean(typed)


@pytest.mark.parametrize("pairs", [{"+852": "5"}, {"852": "many"}, {"852": "-1"}, {"": "1"}])
def test_pairs_that_are_no_numbers_are_found_at_the_start(
    settings: LazySettings, pairs: dict[str, str]
) -> None:
    assert prices_and_caps_are_numbers() == []
    settings.REKEY_DIAL_CODES = pairs
    assert [found.id for found in prices_and_caps_are_numbers()] == ["rekey.E021"]


# ── money ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_T15_money_is_spent_before_the_provider_is_asked_and_noted(
    carrier: Counting, settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {"text-money-overall": "100/day"}
    messages = [queued() for _ in range(3)]
    assert [deliver(message.id) for message in messages] == [True, True, False]
    assert list(Message.objects.order_by("created_at").values_list("cost_milli", "error")) == [
        (45, ""), (45, ""), (0, "budget"),
    ]  # fmt: skip
    assert len(carrier.sent) == 2
    assert Allowance.objects.get(limit="text-money-overall").taken == 90
    assert Ticket.objects.get().step == "guard"
    assert AuditEvent.objects.filter(tag="portal:texts:money-spent").count() == 1


def test_T15_the_price_list_says_what_a_text_costs(settings: LazySettings) -> None:
    settings.REKEY_TEXT_PRICES = {"852": "300"}
    assert [spending.price_of(phone) for phone in (AT_HOME, IN_HONG_KONG, "+6591234567")] == [45, 300, 1000]


def test_T15_an_email_costs_nothing(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"text-money-overall": "1/day"}
    assert spending.pay(Message(channel=Channel.EMAIL, phone="")) == ""


def test_T15_strangers_leave_a_fifth_to_those_who_proved_themselves(
    carrier: Counting, settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {"text-money-overall": "450/day"}
    strangers = [deliver(queued(template="code").id) for _ in range(10)]
    assert sum(strangers) == 8
    assert texting.stopped()
    assert ask(1, AT_HOME) == "text-money-overall"
    assert [deliver(queued(template="code", known=True).id) for _ in range(3)] == [True, True, False]


@pytest.mark.django_db(transaction=True)
def test_T15_thirty_at_once_spend_to_the_thousandth() -> None:
    amount = 45 * 7 + 44
    taken = in_parallel(30, lambda: take("text-money-overall", "", cost=45, amount=amount), width=10)
    assert sum(one.ok for one in taken) == 7
    assert Allowance.objects.get().taken == 45 * 7
    assert not look("text-money-overall", "", cost=45, amount=amount).ok
    assert look("text-money-overall", "", cost=44, amount=amount).ok


# ── one guard after the other ───────────────────────────────────────────────────────────────────────────────


def test_T15_a_stranger_gets_no_text_and_spends_the_share_of_the_address(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"sms-per-address": "1/hour"}
    block = "10.9.0.0/24"
    assert texting.refusal(Ask(AT_HOME, block, None)) == "stranger"
    assert texting.refusal(Ask(AT_HOME, block, make_merchant())) == "sms-per-address"
    assert texting.refusal(Ask(AT_HOME, block, make_merchant(), source="browser:1")) == ""
    assert texting.refusal(Ask(AT_HOME, "10.9.1.0/24", make_merchant())) == ""


def test_T15_a_block_of_numbers_is_all_but_the_last_four_digits(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"sms-per-block": "1/day"}

    def to(phone: str) -> str:
        return texting.refusal(Ask(phone, f"10.8.{phone[-2:]}.0/24", make_merchant()))

    assert [to("+8613800002046"), to("+8613800009947"), to("+8613800012048")] == ["", "sms-per-block", ""]


def test_T15_what_another_guard_refused_costs_its_country_nothing(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"sms-per-phone": "1/day"}
    settings.REKEY_DIAL_CODES = {"86": "2"}

    def to(phone: str) -> str:
        return texting.refusal(Ask(phone, "10.7.0.0/24", make_merchant()))

    first, second = "+8613800002046", "+8613911112046"
    assert [to(first), to(first), to(second)] == ["", "sms-per-phone", ""]


def test_T15_a_country_is_open_with_a_cap_of_one(settings: LazySettings) -> None:
    settings.REKEY_DIAL_CODES = {"852": "1"}
    assert dialling.is_open(IN_HONG_KONG)
