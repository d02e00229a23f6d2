"""One more proof: which ways the page offers, what each adds, and that nothing else adds anything."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone
from django_otp.oath import hotp

from portal import passkeys, recovery_codes
from portal.challenges import Outcome
from portal.devices import STEP_S, TOTPDevice
from portal.models import Allowance, AuditEvent, Merchant, RecoveryCode, User
from recovery import flow, proving
from recovery.authority import NotAllowed
from recovery.gates.floors import HALF, Method
from recovery.models import Proof, Recovery
from recovery.proving import give
from terminals import requests
from tests.cast import PairedTill, make_other_merchant, make_owner
from tests.portal.authenticator import ORIGIN, Authenticator
from tests.portal.parallel import at_once, in_parallel
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def visitor(till: PairedTill) -> Visitor:
    visitor = Visitor()
    visitor.prove()
    return visitor


def app_of(owner: User) -> TOTPDevice:
    return TOTPDevice.objects.get_or_create(user=owner, defaults={"name": "app"})[0]


def code_of(device: TOTPDevice, steps_ahead: int = 0) -> str:
    key = base64.b32decode(device.seed)
    return str(hotp(key, int(time.time()) // STEP_S + steps_ahead, 6)).zfill(6)


def page(visitor: Visitor, number: str = "00") -> str:
    return str(visitor.client.get(f"/prove/{number}", headers=ENGLISH).content.decode())


def prove(visitor: Visitor, path: str, number: str = "00", **typed: str) -> str:
    return str(getattr(visitor.client.post(f"/prove/{number}/{path}", typed), "url", ""))


def proofs() -> list[tuple[str, int]]:
    return list(Proof.objects.values_list("method", "strength"))


def doubt_texts() -> None:
    Merchant.objects.update(texts_distrusted_at=timezone.now())


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_code_from_the_text_is_a_proof_of_its_own(visitor: Visitor) -> None:
    assert proofs() == [("sms", 2)]
    assert AuditEvent.objects.get(tag="recovery:recovery:proved").facts == {"method": "sms", "strength": "2"}


def test_the_page_offers_what_the_shop_has_and_says_why_not_the_rest(visitor: Visitor) -> None:
    assert visitor.choose("00").url == "/prove/00"
    seen = page(visitor)
    assert 'value="possession"' in seen and 'value="totp"' not in seen
    assert "No owner of this shop has set one up." in seen and 'href="/support"' in seen
    app_of(make_owner(Merchant.objects.get()))
    assert 'value="totp"' in page(visitor)


def test_choosing_a_way_leads_to_its_page_and_nothing_else_is_taken(visitor: Visitor) -> None:
    assert visitor.client.post("/prove/00", {"way": "possession"}).headers["Location"] == "/prove/00/terminal"
    for way in ("totp", "merchant_number", "sms", ""):
        assert visitor.client.post("/prove/00", {"way": way}).status_code == 200


def test_where_nothing_is_missing_the_page_leads_on(visitor: Visitor) -> None:
    assert visitor.client.get("/prove/03").headers["Location"] == "/password"
    assert visitor.client.get("/prove/77").headers["Location"] == "/password"


@pytest.mark.parametrize("way", ["terminal", "app", "paper", "passkey", "email", "contact"])
def test_a_page_of_a_way_that_is_not_open_leads_back(visitor: Visitor, way: str) -> None:
    number = "03" if way == "terminal" else "00"
    assert visitor.client.get(f"/prove/{number}/{way}").headers["Location"] == f"/prove/{number}"


@pytest.mark.parametrize("address", ["/prove/00", "/prove/00/app", "/prove/00/terminal"])
def test_nobody_sees_it_before_the_code_from_the_text(till: PairedTill, address: str) -> None:
    known, stranger = Visitor(), Visitor()
    known.identify()
    stranger.identify(phone="13800007777")
    for each in (known, stranger):
        each.worker()
        assert each.client.get(address).headers["Location"] == "/code"
        answer = each.client.post(address, {"way": "totp", "code": "123456"})
        assert answer.status_code == 405 or answer.headers["Location"] == "/code"
    assert Visitor().client.get(address).status_code == 410


def test_a_shop_that_stopped_everything_is_told_until_when(visitor: Visitor) -> None:
    Merchant.objects.update(frozen_until=timezone.now() + timedelta(hours=1))
    assert visitor.choose("03").url == "/prove/03"
    assert "All resets of this shop are stopped" in page(visitor, "03")
    with pytest.raises(NotAllowed) as refusal:
        flow.choose_operator(visitor.recovery, "03")
    assert refusal.value.reason == "frozen"


# ── an authenticator app ────────────────────────────────────────────────────────────────────────────────────


def test_text_and_app_together_open_the_supervisor_far_from_the_till(visitor: Visitor) -> None:
    device = app_of(make_owner(Merchant.objects.get()))
    assert prove(visitor, "app", code=code_of(device), app=str(device.pk)) == "/password"
    visitor.set_password("719402")
    command = visitor.recovery.command
    assert command is not None and command.operator_number == "00"
    assert proofs() == [("sms", 2), ("totp", 2)]


def test_they_do_not_open_maintenance(visitor: Visitor) -> None:
    device = app_of(make_owner(Merchant.objects.get()))
    prove(visitor, "app", code=code_of(device), app=str(device.pk))
    assert prove(visitor, "app", "99", code=code_of(device, 1), app=str(device.pk)) == "/prove/99"
    assert "second person" in page(visitor, "99")
    with pytest.raises(NotAllowed) as refusal:
        flow.choose_operator(visitor.recovery, "99")
    assert refusal.value.reason == "approval"


def test_a_wrong_code_proves_nothing_and_a_used_one_neither(visitor: Visitor) -> None:
    device = app_of(make_owner(Merchant.objects.get()))
    right = code_of(device)
    assert prove(visitor, "app", code=f"{(int(right) + 1) % 10**6:06}", app=str(device.pk)) == ""
    assert device.judge(right).ok
    assert prove(visitor, "app", code=right, app=str(device.pk)) == ""
    assert proofs() == [("sms", 2)]


def test_the_app_of_another_shop_or_of_a_stopped_account_is_not_asked(visitor: Visitor) -> None:
    mine = app_of(make_owner(Merchant.objects.get(number="898440158120031")))
    theirs = app_of(make_owner(make_other_merchant(), "neighbour"))
    assert prove(visitor, "app", code=code_of(theirs), app=str(theirs.pk)) == ""
    assert prove(visitor, "app", code=code_of(theirs), app=str(mine.pk)) == ""
    User.objects.filter(pk=mine.user_id).update(is_active=False)
    assert prove(visitor, "app", code=code_of(mine), app=str(mine.pk)) == "/prove/00"
    assert proofs() == [("sms", 2)]


def test_with_several_owners_only_the_one_that_is_named_spends_a_try(visitor: Visitor) -> None:
    merchant = Merchant.objects.get()
    first, second = app_of(make_owner(merchant)), app_of(make_owner(merchant, "partner"))
    seen = visitor.client.get("/prove/00/app").content.decode()
    assert "<select" in seen and "partner" in seen
    wrong = f"{(int(code_of(second)) + 1) % 10**6:06}"
    prove(visitor, "app", code=wrong, app=str(second.pk))
    assert Allowance.objects.filter(limit="second-factor-per-account").count() == 1
    assert prove(visitor, "app", code=code_of(first), app=str(first.pk)) == "/password"


def test_a_proof_of_somebody_whose_account_was_stopped_since_is_gone(visitor: Visitor) -> None:
    device = app_of(make_owner(Merchant.objects.get()))
    prove(visitor, "app", code=code_of(device), app=str(device.pk))
    User.objects.update(is_active=False)
    visitor.set_password("719402")
    assert visitor.recovery.command is None


# ── a recovery code ─────────────────────────────────────────────────────────────────────────────────────────


def test_text_and_a_code_on_paper_open_the_supervisor_and_the_code_is_spent(visitor: Visitor) -> None:
    merchant = Merchant.objects.get()
    codes = recovery_codes.make(merchant, "user:1")
    assert prove(visitor, "paper", code=codes[3].lower().replace("-", " ")) == "/password"
    assert recovery_codes.left(merchant) == 9
    visitor.set_password("719402")
    assert visitor.recovery.command is not None
    another = Visitor()
    another.prove()
    assert prove(another, "paper", code=codes[3]) == ""
    assert RecoveryCode.objects.get(used_at__isnull=False).used_for == visitor.recovery.id


def test_one_sitting_spends_one_code_however_many_are_typed(visitor: Visitor) -> None:
    merchant = Merchant.objects.get()
    codes = recovery_codes.make(merchant, "user:1")
    Merchant.objects.update(phone_confirmed_at=timezone.now() - timedelta(days=91))
    assert [prove(visitor, "paper", code=code) for code in codes[:2]] == ["/prove/00", "/prove/00"]
    assert proving.by_paper(visitor.recovery, codes[2])
    assert recovery_codes.left(merchant) == 9
    assert proofs() == [("sms", 2), ("recovery_code", 2)]


@pytest.mark.parametrize("typed", ["", "ABCD", "ABCD-EFGH-JKMN-PQRW", "!" * 16, "A" * 300])
def test_a_slip_of_the_pen_is_told_and_spends_nothing(visitor: Visitor, typed: str) -> None:
    recovery_codes.make(Merchant.objects.get(), "user:1")
    assert visitor.client.post("/prove/00/paper", {"code": typed}).status_code == 200
    assert proofs() == [("sms", 2)]


def test_a_code_of_another_shop_or_of_an_older_sheet_proves_nothing(visitor: Visitor) -> None:
    merchant = Merchant.objects.get(number="898440158120031")
    old, theirs = (
        recovery_codes.make(merchant, "user:1"),
        recovery_codes.make(make_other_merchant(), "user:2"),
    )
    recovery_codes.make(merchant, "user:1")
    assert [prove(visitor, "paper", code=code) for code in (old[0], theirs[0])] == ["", ""]
    assert proofs() == [("sms", 2)]


@pytest.mark.django_db(transaction=True)
def test_of_a_code_typed_in_two_browsers_at_once_one_counts() -> None:
    make_shop()
    code = recovery_codes.make(Merchant.objects.get(), "user:1")[0]
    visitors = [Visitor(), Visitor()]
    for each in visitors:
        each.prove()
    recoveries = [each.recovery for each in visitors]
    answers = at_once(*(partial(proving.by_paper, recovery, code) for recovery in recoveries))
    assert sorted(answers) == [False, True]
    assert Proof.objects.filter(method="recovery_code").count() == 1


# ── a passkey ───────────────────────────────────────────────────────────────────────────────────────────────


def passkey_of(owner: User) -> Authenticator:
    device = Authenticator()
    device.make(json.loads(passkeys.registration(owner, "test")))
    options = json.loads(passkeys.registration(owner, "test"))
    passkeys.register(owner, "test", device.make(options), "phone")
    return device


def asked(visitor: Visitor) -> dict[str, Any]:
    options: dict[str, Any] = visitor.client.post("/prove/00/passkey/options").json()
    return options


def test_text_and_passkey_open_the_supervisor(visitor: Visitor, settings: LazySettings) -> None:
    settings.REKEY_ORIGIN = ORIGIN
    device = passkey_of(make_owner(Merchant.objects.get()))
    assert prove(visitor, "passkey", response=device.sign(asked(visitor))) == "/password"
    assert proofs() == [("sms", 2), ("passkey", 2)]


def test_a_passkey_proves_for_its_shop_and_for_the_recovery_that_asked(
    visitor: Visitor, settings: LazySettings
) -> None:
    settings.REKEY_ORIGIN = ORIGIN
    mine = passkey_of(make_owner(Merchant.objects.get(number="898440158120031")))
    theirs = passkey_of(make_owner(make_other_merchant(), "neighbour"))
    another = Visitor()
    another.prove()
    for answer in (theirs.sign(asked(visitor)), mine.sign(asked(another)), "{}", "", "x" * 20_000):
        assert prove(visitor, "passkey", response=answer) == ""
    right = mine.sign(asked(visitor))
    assert prove(visitor, "passkey", response=right) == "/password"
    assert not proving.by_passkey(another.recovery, right)
    assert proofs() == [("sms", 2), ("sms", 2), ("passkey", 2)]


# ── halves ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_T17_a_phone_nobody_confirmed_for_90_days_opens_an_operator_and_not_the_supervisor(
    visitor: Visitor,
) -> None:
    Merchant.objects.update(phone_confirmed_at=timezone.now() - timedelta(days=91))
    device = app_of(make_owner(Merchant.objects.get()))
    assert prove(visitor, "app", code=code_of(device), app=str(device.pk)) == "/prove/00"
    assert "confirmed the registered phone for 90 days" in page(visitor)
    assert visitor.choose("03").url == "/password"


def test_T17_a_phone_that_was_never_confirmed_is_as_old_as_its_shop(visitor: Visitor) -> None:
    Merchant.objects.update(created_at=timezone.now() - timedelta(days=91))
    give(visitor.recovery, Method.TOTP, subject=f"user:{make_owner(Merchant.objects.get()).pk}")
    assert visitor.choose("00").url == "/prove/00"
    Merchant.objects.update(phone_confirmed_at=timezone.now())
    assert visitor.choose("00").url == "/password"


def test_T17_a_phone_that_was_just_replaced_counts_nothing_for_the_supervisor(visitor: Visitor) -> None:
    Merchant.objects.update(phone_held_until=timezone.now() + timedelta(hours=70))
    give(visitor.recovery, Method.TOTP, subject=f"user:{make_owner(Merchant.objects.get()).pk}")
    assert visitor.choose("00").url == "/prove/00"
    assert "changed less than 72 hours ago" in page(visitor)
    assert visitor.choose("03").url == "/password"


def test_T12_a_text_given_while_texts_are_doubted_stays_half_when_another_proof_ends_the_doubt(
    till: PairedTill,
) -> None:
    doubt_texts()
    visitor = Visitor()
    shown = requests.open_request(till.terminal, "00")
    visitor.prove_at(shown)
    assert visitor.post("match", number=shown.match).url == "/prove/00"
    assert proofs() == [("sms", HALF), ("possession", 2)]
    assert Merchant.objects.get().texts_distrusted_at is None
    assert visitor.choose("03").url == "/password"


def test_T12_an_app_ends_the_doubt_and_opens_an_operator_at_once(till: PairedTill) -> None:
    doubt_texts()
    visitor = Visitor()
    visitor.prove()
    device = app_of(make_owner(Merchant.objects.get()))
    assert visitor.choose("03").url == "/prove/03"
    assert prove(visitor, "app", "03", code=code_of(device), app=str(device.pk)) == "/password"
    assert Merchant.objects.get().texts_distrusted_at is None
    assert proofs() == [("sms", HALF), ("totp", 2)]


# ── once ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_of_twenty_at_once_one_gives_the_proof() -> None:
    make_shop()
    visitor = Visitor()
    visitor.prove()
    recovery = Recovery.objects.get()
    given = in_parallel(20, lambda: give(recovery, Method.CONTACT, subject="somebody"))
    assert given.count(True) == 1
    assert Proof.objects.filter(method="contact").count() == 1


# ── which app, which code ───────────────────────────────────────────────────────────────────────────────────


def test_only_the_app_that_is_named_is_asked(visitor: Visitor) -> None:
    merchant = visitor.recovery.merchant
    first, second = make_owner(merchant), make_owner(merchant, "second")
    asked, other = app_of(first), app_of(second)
    assert not proving.by_app(visitor.recovery, str(other.pk), code_of(asked)).ok
    assert proving.by_app(visitor.recovery, str(other.pk), code_of(other)).ok
    assert Proof.objects.get(recovery=visitor.recovery, method="totp").subject == f"user:{second.pk}"


def test_an_app_of_another_shop_and_a_code_that_was_never_sent_are_expired(visitor: Visitor) -> None:
    stranger = app_of(make_owner(make_other_merchant(), "stranger"))
    over = Outcome(False, "expired", 0)
    assert proving.by_app(visitor.recovery, str(stranger.pk), code_of(stranger)) == over
    assert proving.by_app(visitor.recovery, "0", "000000") == over
    assert proving.by_address(visitor.recovery, Method.EMAIL, "000000") == over
