"""What may happen once at the two further doors happens once, however many ask at the same moment."""

from __future__ import annotations

import re
from typing import Any

import pytest

from portal.models import AuditEvent
from recovery import steps
from recovery.models import Recovery
from terminals import jose, ocra, requests
from terminals.models import OfflineUnlock, RecoveryRequest
from tests.cast import PairedTill
from tests.recovery.test_races import another_tab, at_once
from tests.recovery.visitor import Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db(transaction=True)
GENEROUS = "identify user-code code sms-per-phone sms-per-merchant sms-per-block sms-per-address"
ANSWER = re.compile(r"data-answer>([0-9 ]{9})<")


@pytest.fixture
def till(settings: Any) -> PairedTill:
    settings.REKEY_LIMITS = dict.fromkeys(GENEROUS.split(), "1000000/hour")
    paired = make_shop()
    paired.terminal.offline_key = jose.b64u(bytes(range(32)))
    paired.terminal.save()
    return paired


def at_match(till: PairedTill) -> tuple[Visitor, requests.Shown]:
    shown = requests.open_request(till.terminal, "03")
    visitor = Visitor()
    visitor.prove_at(shown)
    return visitor, shown


def test_five_browsers_with_one_screen_and_five_right_codes_are_one_match_page(till: PairedTill) -> None:
    shown = requests.open_request(till.terminal, "03")
    visitors = [Visitor() for _ in range(5)]
    for visitor in visitors:
        visitor.scan(shown)
        visitor.worker()
    assert texts_to() == 5
    waiting, codes = list(visitors), {id(visitor): visitor.code for visitor in visitors}

    def prove() -> str:
        visitor = waiting.pop()
        return str(visitor.post("code", code=codes[id(visitor)]).url)

    assert sorted(at_once(5, prove)) == ["/match"] + ["/operator"] * 4
    assert Recovery.objects.filter(request__isnull=False).count() == 1


def test_thirty_wrong_numbers_are_three_guesses(till: PairedTill) -> None:
    visitor, shown = at_match(till)
    wrong = "11" if shown.match != "11" else "12"
    at_once(30, lambda: another_tab(visitor).post("match", number=wrong))
    request = RecoveryRequest.objects.get()
    assert (request.tries, request.state) == (3, "denied")
    assert visitor.post("match", number=shown.match).url == "/stopped"
    assert visitor.recovery.possession_at is None


def test_the_right_number_twenty_times_is_one_proof_and_ends_nothing(till: PairedTill) -> None:
    visitor, shown = at_match(till)
    answers = at_once(20, lambda: another_tab(visitor).post("match", number=shown.match))
    assert {answer.url for answer in answers} <= {"/match", "/operator", "/password"}
    assert AuditEvent.objects.filter(tag="recovery:recovery:stood-at-terminal").count() == 1
    recovery = visitor.recovery
    assert recovery.state == Recovery.State.SETTING and recovery.possession_at is not None


def test_a_proof_that_was_given_but_not_noted_is_noted_by_the_next_try(till: PairedTill) -> None:
    visitor, shown = at_match(till)
    assert requests.match(shown.rid, shown.match).ok
    assert visitor.post("match", number=shown.match).url == "/password"
    assert visitor.recovery.possession_at == RecoveryRequest.objects.get().proved_at


def test_one_question_sent_twenty_times_is_one_answer(till: PairedTill) -> None:
    visitor = Visitor()
    visitor.prove()
    visitor.choose()
    form = {"question": ocra.make_question(1), "subject": steps.subject_mark(visitor.recovery)}
    pages = at_once(20, lambda: another_tab(visitor).post("offline", **form))
    shown = {found for page in pages for found in ANSWER.findall(page.content.decode())}
    assert len(shown) == 1
    assert OfflineUnlock.objects.count() == 1
    assert texts_to(template="unlocking") == 1
