"""The rules above the floors: they only ever ask for more, and nobody saves one unseen."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from portal import recovery_codes
from portal.models import AuditEvent, Merchant
from recovery.models import GatePolicy
from recovery.policies import policy_of, stranded_by
from tests.cast import (
    ANOTHER,
    FUMANLOU,
    make_merchant,
    make_other_merchant,
    make_owner,
    make_staff,
    make_terminal,
    pair_on_paper,
    signed_in,
)  # fmt: skip
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db
ADD = "/admin/recovery/gatepolicy/add/"
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def staff() -> Client:
    return signed_in(make_staff())


def stranded(**facts: Any) -> list[tuple[str, str, bool]]:
    found = stranded_by(GatePolicy(**facts))
    return [(each.merchant.legal_name, each.target.value, each.newly) for each in found]


def test_two_proofs_for_an_operator_are_asked_for_where_the_provider_says_so() -> None:
    make_shop()
    GatePolicy.objects.create(ordinary=2)
    visitor = Visitor()
    visitor.prove()
    assert visitor.choose("03").url == "/prove/03"
    page = visitor.client.get("/prove/03", headers=ENGLISH).content.decode()
    assert "Your provider asks for more than one proof." in page and 'value="possession"' in page
    code = recovery_codes.make(Merchant.objects.get(), "user:1")[0]
    assert visitor.client.post("/prove/03/paper", {"code": code}).headers["Location"] == "/password"


def test_a_proof_that_is_not_taken_is_named_as_shut() -> None:
    make_shop()
    recovery_codes.make(Merchant.objects.get(), "user:1")
    GatePolicy.objects.create(shut=["recovery_code"])
    visitor = Visitor()
    visitor.prove()
    page = visitor.client.get("/prove/00", headers=ENGLISH).content.decode()
    assert 'value="recovery_code"' not in page and "Your provider does not take this proof." in page
    assert visitor.client.get("/prove/00/paper").headers["Location"] == "/prove/00"


def test_a_rule_for_one_shop_is_for_that_shop() -> None:
    mine, other = make_merchant(), make_other_merchant()
    GatePolicy.objects.create(merchant=mine, strict=3)
    assert (policy_of(mine).strict, policy_of(other).strict) == (3, 2)


def test_there_is_one_rule_for_all_and_one_for_each_shop() -> None:
    GatePolicy.objects.create()
    GatePolicy.objects.create(merchant=make_merchant())
    for merchant in (None, make_merchant()):
        with pytest.raises(IntegrityError), transaction.atomic():
            GatePolicy.objects.create(merchant=merchant)


# ── whom it would strand ────────────────────────────────────────────────────────────────────────────────────


def test_the_dry_run_names_who_could_not_help_themselves_and_whether_it_is_new() -> None:
    make_shop()
    make_other_merchant()
    assert stranded() == [("春和里", "supervisor", False)]
    assert stranded(ordinary=2) == [("春和里", "operator", True), ("春和里", "supervisor", False)]
    assert stranded(shut=["possession"]) == [
        ("福满楼", "supervisor", True), ("春和里", "supervisor", False),
    ]  # fmt: skip
    make_owner(make_merchant())
    assert stranded(shut=["possession"]) == [("春和里", "supervisor", False)]


def test_it_counts_every_way_a_shop_has() -> None:
    shop = make_other_merchant()
    for give in (
        lambda: recovery_codes.make(shop, "user:1"),
        lambda: make_owner(shop),
        lambda: pair_on_paper(make_terminal(shop)),
    ):
        give()
    assert stranded(strict=3) == []
    assert stranded(strict=3, shut=["totp", "recovery_code"]) == [("春和里", "supervisor", True)]


def test_a_rule_for_one_shop_is_tried_on_that_shop() -> None:
    make_other_merchant()
    assert stranded(merchant=make_merchant()) == [("福满楼", "supervisor", False)]


def test_a_closed_shop_is_nobody() -> None:
    make_merchant(status=Merchant.Status.CLOSED)
    assert stranded(ordinary=2) == []


# ── the desk ────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_saved_before_it_was_seen(staff: Client) -> None:
    make_merchant()
    typed = {"merchant": "", "ordinary": "2", "strict": "2", "shut": ["totp", "voice"]}
    shown = staff.post(ADD, typed, headers=ENGLISH)
    text = shown.content.decode()
    assert FUMANLOU["legal_name"] in text and FUMANLOU["number"] in text and "because of this change" in text
    assert (shown.context["shops"], shown.context["newly"]) == (1, 1)
    assert not GatePolicy.objects.exists()
    saved = staff.post(ADD, {**dict(shown.context["posted"]), **typed, "seen": shown.context["seen"]})
    assert saved.status_code == 302
    policy = GatePolicy.objects.get()
    assert (policy.ordinary, sorted(policy.shut)) == (2, ["totp", "voice"])
    assert AuditEvent.objects.get(tag="recovery:policy:changed").facts["ordinary"] == 2


def test_other_values_than_those_that_were_seen_are_shown_again(staff: Client) -> None:
    make_merchant()
    shown = staff.post(ADD, {"ordinary": "1", "strict": "2"})
    again = staff.post(ADD, {"ordinary": "2", "strict": "3", "seen": shown.context["seen"]})
    assert again.status_code == 200 and again.context["newly"] == 1
    assert not GatePolicy.objects.exists()


def test_a_change_of_a_rule_is_seen_first_as_well(staff: Client) -> None:
    make_merchant()
    policy = GatePolicy.objects.create(merchant=make_other_merchant())
    address = f"/admin/recovery/gatepolicy/{policy.pk}/change/"
    typed = {"ordinary": "2", "strict": "2"}
    shown = staff.post(address, typed)
    assert ANOTHER["legal_name"] in shown.content.decode()
    assert FUMANLOU["legal_name"] not in shown.content.decode()
    assert staff.post(address, {**typed, "seen": shown.context["seen"]}).status_code == 302
    policy.refresh_from_db()
    assert policy.ordinary == 2


@pytest.mark.parametrize(
    "typed", [{}, {"ordinary": "0", "strict": "1"}, {"ordinary": "1", "strict": "2", "shut": "id_card"}]
)
def test_below_the_floor_there_is_nothing_to_choose(staff: Client, typed: dict[str, str]) -> None:
    answer = staff.post(ADD, typed)
    assert answer.status_code == 200 and "seen" not in answer.context
    assert not GatePolicy.objects.exists()


def test_an_agent_without_the_right_changes_no_rule() -> None:
    agent = signed_in(make_staff("agent", superuser=False))
    assert agent.post(ADD, {"ordinary": "2", "strict": "2"}).status_code == 403
