"""The journey without scripts, page by page, and every way to do a step out of turn."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recovery import endings, steps
from recovery.models import Recovery
from terminals.models import Command
from tests.cast import PairedTill, make_other_merchant, make_terminal, pair_on_paper
from tests.recovery.visitor import PASSWORD, SHOP, Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db
State = Recovery.State


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def visitor(till: PairedTill) -> Visitor:
    return Visitor()


def test_from_the_first_page_to_a_sealed_command(visitor: Visitor, till: PairedTill) -> None:
    assert visitor.identify().url == "/code"
    visitor.worker()
    assert texts_to() == 1
    assert visitor.post("code", code=visitor.code).url == "/operator"
    assert "王芳" in visitor.get("operator").content.decode()
    assert visitor.choose().url == "/password"
    assert visitor.set_password().url == "/status"
    command = visitor.recovery.command
    assert command is not None
    assert (command.terminal, command.operator_number, command.state) == (till.terminal, "03", "queued")
    assert command.sealed
    assert PASSWORD not in str(Command.objects.values())
    assert visitor.get("status").status_code == 200


@pytest.mark.parametrize("typed", ["A0012345", "ａ００１２３４５", " a001 2345 ", "RK20260001"])
def test_a_terminal_number_or_serial_names_the_shop_as_well(typed: str) -> None:
    till = pair_on_paper(make_terminal(number="A0012345", serial="RK20260001"))
    visitor = Visitor()
    visitor.identify(shop=typed)
    visitor.worker()
    assert visitor.recovery.merchant == till.terminal.store.merchant


@pytest.mark.parametrize("phone", ["+86 138 0000 2046", "0086-13800002046", "１３８００００２０４６"])
def test_a_phone_may_be_written_as_people_write_it(visitor: Visitor, phone: str) -> None:
    visitor.identify(phone=phone)
    visitor.worker()
    assert visitor.recovery.merchant is not None


MALFORMED = [
    *("", "A1", "89844015812003", "8984401581200311", "-98440158120031", "000440158120031", "8.98E14"),
    *("+A0012345", "x" * 10000, "A\x00012345", "{{7*7}}", "=cmd", "A00\r\n12345", "٨٩٨٤٤٠١٥٨١٢٠٠٣١"),
]


@pytest.mark.parametrize("shop", MALFORMED)
def test_what_cannot_be_a_number_is_a_form_error(visitor: Visitor, shop: str) -> None:
    answer = visitor.identify(shop=shop)
    assert answer.status_code == 200
    assert not Recovery.objects.exists()


def test_a_second_terminal_has_to_be_chosen(visitor: Visitor, till: PairedTill) -> None:
    second = pair_on_paper(make_terminal(store=till.terminal.store, name="二楼"))
    assert visitor.prove().url == "/terminal"
    assert visitor.post("terminal", terminal=second.terminal.id).url == "/operator"
    visitor.choose()
    assert visitor.post("terminal", terminal=till.terminal.id).url == "/operator"
    assert visitor.recovery.operator_number == ""


def test_a_terminal_of_another_shop_is_no_choice(visitor: Visitor) -> None:
    foreign = pair_on_paper(make_terminal(make_other_merchant()))
    visitor.prove()
    answer = visitor.post("terminal", terminal=foreign.terminal.id)
    assert answer.status_code == 200
    assert visitor.recovery.terminal != foreign.terminal


def test_the_list_alone_may_end_the_journey(visitor: Visitor) -> None:
    visitor.prove()
    visitor.post("remembered")
    assert (visitor.recovery.state, visitor.recovery.reason) == (State.DONE, "remembered")
    assert visitor.get("remembered").status_code == 200
    assert visitor.get("password").url == "/operator/remembered"


@pytest.mark.parametrize("number", ["00", "99"])
def test_supervisor_and_maintenance_are_refused_and_nothing_moves(visitor: Visitor, number: str) -> None:
    visitor.prove()
    assert visitor.choose(number).url == f"/prove/{number}"
    assert "/support" in visitor.get("prove", number).content.decode()
    assert (visitor.recovery.state, visitor.recovery.operator_number) == (State.PROVED, "")
    assert not Command.objects.exists()


def test_a_guarded_operator_in_the_row_still_gets_no_command(visitor: Visitor) -> None:
    visitor.prove()
    Recovery.objects.update(state=State.SETTING, operator_number="00")
    assert visitor.set_password("258741").status_code == 200
    assert not Command.objects.exists()


def test_let_them_choose_sends_no_secret(visitor: Visitor) -> None:
    visitor.prove()
    visitor.choose()
    visitor.post("let_them_choose", subject=steps.subject_mark(visitor.recovery))
    command = visitor.recovery.command
    assert command is not None
    assert (command.args, command.sealed) == ({"choose": True}, "")


@pytest.mark.parametrize("password", ["1234", "0000", "12", "1234567", "abcd", "260118", "2046", "１２３４"])
def test_a_password_against_the_rules_comes_back_empty(visitor: Visitor, password: str) -> None:
    visitor.prove()
    visitor.choose()
    answer = visitor.set_password(password)
    assert answer.status_code == 200
    assert f'value="{password}"' not in answer.content.decode()
    assert visitor.recovery.state == State.SETTING


def test_two_different_passwords_are_an_error(visitor: Visitor) -> None:
    visitor.prove()
    visitor.choose()
    assert visitor.set_password(again="719403").status_code == 200
    assert PASSWORD not in visitor.get("password").content.decode()


def test_T33_an_old_tab_cannot_speak_about_another_operator(visitor: Visitor) -> None:
    visitor.prove()
    visitor.choose("03")
    old = steps.subject_mark(visitor.recovery)
    visitor.choose("05")
    answer = visitor.post("password", new_password=PASSWORD, again=PASSWORD, subject=old)
    assert answer.status_code == 200
    assert not Command.objects.exists()
    assert f'value="{steps.subject_mark(visitor.recovery)}"' in answer.content.decode()


STEPS = ["code", "terminal", "operator", "password", "status", "withdraw", "remembered"]


@pytest.mark.parametrize("name", [*STEPS, "status_fragment"])
def test_without_a_cookie_there_are_no_steps(till: PairedTill, name: str) -> None:
    assert Visitor().get(name).status_code == 410


@pytest.mark.parametrize("name", [step for step in STEPS if step != "code"])
def test_T33_no_step_can_be_reached_before_the_code(visitor: Visitor, name: str) -> None:
    visitor.identify()
    visitor.worker()
    assert visitor.get(name).url == "/code"


@pytest.mark.parametrize(
    "path",
    ["/terminal", "/operator", "/operator/remembered", "/password", "/password/choose", "/status/again"],
)
def test_T33_no_step_can_be_posted_before_the_code(visitor: Visitor, till: PairedTill, path: str) -> None:
    visitor.identify()
    visitor.worker()
    before = Recovery.objects.values().get()
    fields = {"terminal": till.terminal.id, "operator": "03", "new_password": PASSWORD, "again": PASSWORD}
    fields["subject"] = steps.subject_mark(visitor.recovery)
    visitor.client.post(path, fields)
    visitor.client.post(path)
    assert Recovery.objects.values().get() == before
    assert not Command.objects.exists()


def test_T33_another_browser_sees_nothing_of_it(visitor: Visitor) -> None:
    visitor.prove()
    assert Visitor(Client()).get("operator").status_code == 410


def test_T33_the_cookie_from_before_the_proof_is_worth_nothing_after_it(visitor: Visitor) -> None:
    visitor.identify()
    planted = Client()
    name = settings.RECOVERY_COOKIE_NAME
    planted.cookies[name] = visitor.client.cookies[name].value
    visitor.worker()
    visitor.post("code", code=visitor.code)
    assert visitor.get("operator").status_code == 200
    assert planted.get(reverse("recovery:operator")).status_code == 410


def test_a_code_works_once(visitor: Visitor) -> None:
    visitor.prove()
    assert visitor.post("code", code="123456").url == "/operator"


def test_a_code_of_one_recovery_is_wrong_for_another(visitor: Visitor) -> None:
    visitor.identify()
    visitor.worker()
    other = Visitor()
    other.identify()
    other.worker()
    assert other.post("code", code=visitor.code).status_code == 200
    assert other.recovery.state == State.PROVING


def test_five_wrong_codes_and_the_right_one_is_refused(visitor: Visitor) -> None:
    visitor.identify()
    visitor.worker()
    for _ in range(5):
        visitor.post("code", code=visitor.wrong_code)
    assert visitor.post("code", code=visitor.code).status_code == 200
    assert visitor.recovery.state == State.PROVING


@pytest.mark.parametrize("text", ["", "12345", "+12345", "12345²", "x" * 10000, "１２３４５６７"])
def test_what_cannot_be_a_code_costs_no_try(visitor: Visitor, text: str) -> None:
    visitor.identify()
    assert visitor.post("code", code=text).status_code == 200
    assert visitor.recovery.challenge.attempts == 0


def test_after_half_an_hour_the_step_is_over(visitor: Visitor) -> None:
    with time_machine.travel(timezone.now() - timedelta(minutes=31), tick=True):
        visitor.prove()
    assert visitor.get("operator").status_code == 410
    assert endings.give_up_expired(timezone.now()) == 1
    assert Recovery.objects.get().state == State.ABANDONED


def test_T13_a_code_dies_when_the_phone_of_the_shop_changes(visitor: Visitor, till: PairedTill) -> None:
    visitor.identify()
    visitor.worker()
    merchant = till.terminal.store.merchant
    merchant.phone = "+8613800002054"
    merchant.save()
    visitor.post("code", code=visitor.code)
    assert visitor.recovery.state == State.PROVING


def test_reloading_the_code_page_sends_nothing(visitor: Visitor) -> None:
    visitor.identify()
    visitor.worker()
    for _ in range(3):
        visitor.get("code")
        visitor.worker()
    assert texts_to() == 1


def test_a_form_sent_twice_is_one_recovery_and_one_text(visitor: Visitor) -> None:
    page = visitor.get("identify").content.decode()
    form = page.split('name="form" value="')[1].split('"')[0]
    visitor.identify(form=form)
    second = Visitor()
    second.identify(form=form)
    assert second.recovery == visitor.recovery
    visitor.worker()
    second.worker()
    assert texts_to() == 1


def test_a_second_tab_asking_for_the_same_shares_the_recovery(visitor: Visitor) -> None:
    visitor.identify()
    first = visitor.recovery
    visitor.identify()
    assert visitor.recovery == first


def test_the_form_of_a_finished_journey_starts_a_new_one(visitor: Visitor) -> None:
    form = "a" * 22
    visitor.identify(form=form)
    visitor.worker()
    visitor.post("code", code=visitor.code)
    first = visitor.recovery
    again = Visitor()
    again.identify(form=form)
    assert again.recovery != first


def test_a_resend_waits_a_minute_and_repeats_the_code(visitor: Visitor) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        visitor.identify()
        visitor.worker()
        code = visitor.code
        assert visitor.post("resend").url == "/code"
        visitor.worker()
        assert texts_to() == 1
        clock.shift(61)
        visitor.post("resend")
        visitor.worker()
        visitor.worker()
        assert (texts_to(), visitor.code) == (2, code)


def test_six_texts_a_day_is_one_too_many(visitor: Visitor) -> None:
    known = []
    for _ in range(6):
        each = Visitor()
        each.identify()
        each.worker()
        known.append(each.recovery.merchant is not None)
    assert known == [True] * 5 + [False]
    assert texts_to() == 5


def test_an_eleventh_start_from_one_address_waits(visitor: Visitor) -> None:
    answers = [Visitor().identify(shop="A0000000").status_code for _ in range(11)]
    assert answers == [302] * 10 + [429]


def test_T35_repeated_fields_are_refused(visitor: Visitor) -> None:
    answer = visitor.client.post("/", {"shop": [SHOP, SHOP], "phone": "13800002046"})
    assert answer.status_code == 200
    assert not Recovery.objects.exists()


def test_csrf_guards_every_step(till: PairedTill) -> None:
    client = Client(enforce_csrf_checks=True)
    for path in ("/", "/code", "/code/resend", "/operator", "/password", "/status/withdraw", "/support"):
        assert client.post(path).status_code == 403
