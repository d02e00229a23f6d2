"""Everything that may happen once happens once, however many ask at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from portal.challenges import COOL_DOWN
from portal.models import Challenge
from recovery import flow, steps
from recovery.models import Recovery
from terminals.models import Command
from tests.recovery.visitor import PASSWORD, Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def visitor(settings: Any) -> Visitor:
    settings.REKEY_LIMITS = {"identify": "1000000/hour", "code": "1000000/hour"}
    make_shop()
    return Visitor()


def at_once(how_many: int, act: Callable[[], Any]) -> list[Any]:
    """Let many threads do the same at the same moment; their results."""
    results: list[Any] = []
    gate = threading.Barrier(how_many)

    def one() -> None:
        try:
            gate.wait(timeout=30)
            results.append(act())
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(how_many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(results) == how_many
    return results


def another_tab(visitor: Visitor) -> Visitor:
    """The same browser, as far as its cookie goes."""
    client = Client()
    name = django_settings.RECOVERY_COOKIE_NAME
    client.cookies[name] = visitor.client.cookies[name].value
    return Visitor(client)


def test_one_form_sent_fifty_times_is_one_recovery_and_one_text(visitor: Visitor) -> None:
    form = "f" * 22
    answers = at_once(50, lambda: Visitor().identify(form=form).url)
    assert set(answers) == {"/code"}
    recovery = Recovery.objects.get()
    at_once(8, lambda: flow.resolve(recovery.id))
    assert texts_to() == 1


def test_T10_fifty_wrong_codes_are_five_guesses(visitor: Visitor) -> None:
    visitor.identify()
    visitor.worker()
    wrong, right = visitor.wrong_code, visitor.code
    at_once(50, lambda: another_tab(visitor).post("code", code=wrong))
    assert visitor.recovery.challenge.attempts == 5
    assert visitor.post("code", code=right).status_code == 200
    assert visitor.recovery.state == Recovery.State.PROVING


def test_T10_the_right_code_fifty_times_is_accepted_once(visitor: Visitor) -> None:
    visitor.identify()
    visitor.worker()
    code = visitor.code
    answers = at_once(50, lambda: another_tab(visitor).post("code", code=code))
    accepted = [answer for answer in answers if getattr(answer, "url", "") == "/operator"]
    with_cookie = [each for each in accepted if django_settings.RECOVERY_COOKIE_NAME in each.cookies]
    assert len(with_cookie) == 1
    assert Recovery.objects.get().state == Recovery.State.PROVED


def test_T14_twenty_resends_are_one_text(visitor: Visitor) -> None:
    visitor.identify()
    visitor.worker()
    Challenge.objects.update(last_sent_at=timezone.now() - COOL_DOWN)
    at_once(20, lambda: another_tab(visitor).post("resend"))
    recovery = visitor.recovery
    at_once(8, lambda: flow.send_owed(recovery.id))
    assert texts_to() == 2
    assert visitor.recovery.challenge.sends == 2


def test_one_password_form_sent_fifty_times_is_one_command(visitor: Visitor) -> None:
    visitor.prove()
    visitor.choose()
    mark = steps.subject_mark(visitor.recovery)
    form = {"new_password": PASSWORD, "again": PASSWORD, "subject": mark}
    answers = at_once(50, lambda: another_tab(visitor).post("password", **form))
    assert {answer.url for answer in answers} == {"/status"}
    assert Command.objects.count() == 1
