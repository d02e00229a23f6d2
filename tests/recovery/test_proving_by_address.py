"""One more proof by a code to the owner's mailbox or to a recovery contact."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from portal import addresses
from portal.codes import derive_code
from portal.models import Address, Challenge, Merchant, Message
from portal.secrets import pepper
from recovery.gates.floors import Method
from recovery.proving import give
from tests.cast import make_other_merchant
from tests.recovery.test_proving import page, proofs, prove
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor() -> Visitor:
    make_shop()
    visitor = Visitor()
    visitor.prove()
    return visitor


def name(kind: str, value: str, holder: str = "owner", **facts: Any) -> Address:
    facts = {"confirmed_at": timezone.now(), "name": "陈静", **facts}
    shop = Merchant.objects.get(number="898440158120031")
    digest = addresses.digest_of(value)
    return Address.objects.create(
        merchant=shop, kind=kind, value=value, digest=digest, holder=holder, **facts
    )


def letter() -> str:
    """The code that went out last."""
    challenge = Challenge.objects.filter(purpose="recovery-address").latest("created_at")
    assert Message.objects.filter(challenge=challenge).exists()
    return derive_code(pepper(), challenge.seed, challenge.purpose)


@pytest.mark.parametrize(
    ("method", "kind", "value", "holder"),
    [
        ("email", "email", "chen@example.com", "owner"),
        ("contact", "email", "wang@example.com", "contact"),
        ("contact", "phone", "+8613800002077", "contact"),
    ],
)
def test_text_and_a_code_to_an_address_open_the_supervisor(
    visitor: Visitor, method: str, kind: str, value: str, holder: str
) -> None:
    address = name(kind, value, holder)
    seen = visitor.client.get(f"/prove/00/{method}").content.decode()
    assert address.masked in seen and value not in seen
    assert not Challenge.objects.filter(purpose="recovery-address").exists()
    assert prove(visitor, f"{method}/code", code="123456") == f"/prove/00/{method}"
    assert prove(visitor, method, way=address.pk) == f"/prove/00/{method}/code"
    right = letter()
    assert prove(visitor, f"{method}/code", code=f"{(int(right) + 1) % 10**6:06}") == ""
    assert prove(visitor, f"{method}/code", code=right) == "/password"
    assert proofs() == [("sms", 2), (method, 2)]


def test_a_second_click_sends_nothing_more(visitor: Visitor) -> None:
    address = name("email", "chen@example.com")
    for _ in range(3):
        assert prove(visitor, "email", way=address.pk) == "/prove/00/email/code"
    assert Message.objects.filter(channel="email", template="code").count() == 1


def test_five_wrong_codes_end_a_letter(visitor: Visitor) -> None:
    address = name("email", "chen@example.com")
    prove(visitor, "email", way=address.pk)
    right = letter()
    wrong = f"{(int(right) + 1) % 10**6:06}"
    assert [prove(visitor, "email/code", code=wrong) for _ in range(5)] == [""] * 4 + ["/prove/00/email"]
    assert prove(visitor, "email/code", code=right) == "/prove/00/email"


def test_an_address_that_was_just_named_counts_nothing_for_the_supervisor(visitor: Visitor) -> None:
    address = name("email", "chen@example.com", held_until=timezone.now() + timedelta(hours=70))
    assert prove(visitor, "email", way=address.pk) == "/prove/00"
    seen = page(visitor)
    assert "It was changed less than 72 hours ago." in seen and "Opens" in seen
    give(visitor.recovery, Method.EMAIL, subject=address.pk)
    assert visitor.choose("00").url == "/prove/00"
    Address.objects.update(held_until=None)
    assert visitor.choose("00").url == "/password"
    Address.objects.update(retired_at=timezone.now())
    assert visitor.choose("00").url == "/prove/00"


def test_whoever_cannot_be_asked_is_not_offered(visitor: Visitor, settings: LazySettings) -> None:
    name("phone", "+8613800002077", "contact", confirmed_at=timezone.now() - timedelta(days=91))
    name("phone", Merchant.objects.get().phone, "contact")
    assert "The shop has named nobody who can be asked now." in page(visitor)
    name("email", "chen@example.com")
    settings.MAIL_GATEWAY = "off"
    assert "The shop has named no mailbox that can be written to." in page(visitor)


def test_the_address_of_another_shop_is_not_written_to(visitor: Visitor) -> None:
    name("email", "chen@example.com")
    facts = {"kind": "email", "value": "x@example.com", "digest": "1", "confirmed_at": timezone.now()}
    theirs = Address.objects.create(merchant=make_other_merchant(), **facts)
    assert prove(visitor, "email", way=theirs.pk) == ""
    assert not Message.objects.filter(channel="email").exists()


def test_a_paper_and_a_contact_together_never_stand_in_for_the_text(visitor: Visitor) -> None:
    contact = name("email", "wang@example.com", "contact")
    Merchant.objects.update(phone_held_until=timezone.now() + timedelta(hours=1))
    give(visitor.recovery, Method.CONTACT, subject=contact.pk)
    give(visitor.recovery, Method.RECOVERY_CODE)
    assert visitor.choose("00").url == "/prove/00"
