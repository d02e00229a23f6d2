"""Addresses are named, replaced and confirmed by a code to them; all are told, and the old one can veto."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from portal import addresses, changes, tasks
from portal.audit import Tag
from portal.changes import Refused, Wanted, What
from portal.codes import derive_code
from portal.models import Address, AddressChange, AuditEvent, Merchant, Message, User
from portal.secrets import pepper
from tests.cast import FUMANLOU, make_merchant, make_other_merchant, make_owner
from tests.portal.parallel import at_once

pytestmark = pytest.mark.django_db
OLD, NEW, MAIL = FUMANLOU["phone"], "+8613900003057", "owner@example.com"
State = AddressChange.State


@pytest.fixture
def owner() -> User:
    return make_owner(make_merchant())


def shop() -> Merchant:
    return Merchant.objects.get(number=FUMANLOU["number"])


def ask(owner: User, what: What = What.NEW, to: str = NEW, **facts: Any) -> AddressChange:
    if what == What.NEW:
        facts = {"name": "second phone", **facts}
    return changes.ask(Wanted(shop(), what, to, owner, "192.0.2.0/24", **facts))


def code_of(change: AddressChange) -> str:
    assert change.challenge is not None
    return derive_code(pepper(), change.challenge.seed, change.challenge.purpose)


def done(owner: User, what: What = What.NEW, to: str = NEW, **facts: Any) -> AddressChange:
    change = ask(owner, what, to, **facts)
    assert changes.prove(change, code_of(change)).ok
    change.refresh_from_db()
    return change


def mail(owner: User, **facts: Any) -> AddressChange:
    return done(owner, to=MAIL, kind=Address.Kind.EMAIL, **facts)


def told() -> list[tuple[str, str]]:
    rows = Message.objects.exclude(template__endswith="-code").order_by("created_at", "id")
    return sorted((row.template, row.phone or row.email) for row in rows)


def why(owner: User, *args: Any, **facts: Any) -> str:
    with pytest.raises(Refused) as refused:
        ask(owner, *args, **facts)
    return refused.value.reason


# ── naming ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_address_is_there_once_its_code_was_typed(owner: User) -> None:
    change = ask(owner)
    assert addresses.ways(shop()) == []
    assert not changes.prove(change, "000000").ok or code_of(change) == "000000"
    assert changes.prove(change, code_of(change)).ok
    (way,) = addresses.ways(shop())
    assert (way.kind, way.holder, way.name, way.masked) == ("phone", "owner", "second phone", "139****3057")
    assert way.confirmed and way.held and way.to == NEW
    assert NEW not in repr(way)


def test_an_e_mail_address_gets_its_code_by_mail(owner: User) -> None:
    mail(owner)
    message = Message.objects.get(template="way-code")
    assert (message.channel, message.email, message.phone) == ("email", MAIL, "")
    assert told() == [("way-added", OLD), ("way-registered", MAIL)]


def test_a_contact_is_asked_in_words_of_its_own(owner: User) -> None:
    done(owner, holder=Address.Holder.CONTACT)
    assert Message.objects.get(template="contact-code").phone == NEW
    assert addresses.ways(shop())[0].holder == "contact"


def test_the_hold_ends_after_72_hours(owner: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        change = done(owner)
        clock.shift(timedelta(hours=72, seconds=-1))
        assert addresses.ways(shop())[0].held
        clock.shift(2)
        assert not addresses.ways(shop())[0].held
        assert not changes.stop(change, "user:1")
        tasks.sweep_limits()
    change.refresh_from_db()
    assert change.state == State.DONE


def test_a_code_that_nobody_types_expires(owner: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        change = ask(owner)
        clock.shift(timedelta(minutes=10, seconds=1))
        assert changes.prove(change, code_of(change)).reason == "expired"
        tasks.sweep_limits()
    change.refresh_from_db()
    assert change.state == State.EXPIRED
    assert addresses.ways(shop()) == []


def test_what_is_registered_is_not_registered_again(owner: User) -> None:
    done(owner)
    assert why(owner) == "known"
    assert why(owner, to=OLD) == "known"
    mail(owner)
    assert why(owner, to=MAIL.upper(), kind="email") == "known"


def test_a_ninth_address_is_one_too_many(owner: User) -> None:
    Address.objects.bulk_create(
        Address(merchant=shop(), kind="email", value=f"{n}@example.com", digest=str(n)) for n in range(8)
    )
    assert why(owner) == "many"


def test_an_owner_has_five_texts_a_day_for_this(owner: User) -> None:
    for _ in range(5):
        ask(owner)
    assert why(owner) == "limit"
    assert Message.objects.filter(template="way-code").count() == 5


def test_the_newest_of_two_questions_counts(owner: User) -> None:
    first, second = ask(owner), ask(owner, to="+8613900003065")
    assert not changes.prove(first, code_of(first)).ok
    assert changes.prove(second, code_of(second)).ok
    assert [way.masked for way in addresses.ways(shop())] == ["139****3065"]


# ── the registered phone ────────────────────────────────────────────────────────────────────────────────────


def test_old_new_and_all_others_are_told_of_a_new_phone(owner: User) -> None:
    mail(owner)
    Message.objects.all().delete()
    change = done(owner, What.REGISTERED)
    assert told() == [("phone-changed", OLD), ("phone-changed", MAIL), ("way-registered", NEW)]
    facts = Message.objects.filter(template="phone-changed")[0].facts
    assert (facts["tail"], facts["quote"]) == ("3057", change.pk)


def test_a_new_phone_is_held_and_takes_its_place_at_sign_in(owner: User) -> None:
    before = timezone.now()
    done(owner, What.REGISTERED)
    merchant = shop()
    assert merchant.phone == NEW
    assert merchant.phone_held_until is not None and merchant.phone_held_until > before + timedelta(hours=71)
    assert merchant.phone_confirmed_at is not None
    owner.refresh_from_db()
    assert owner.phone == NEW


def test_the_old_phone_can_veto(owner: User) -> None:
    change = done(owner, What.REGISTERED)
    Message.objects.all().delete()
    assert changes.stop(change, "change:veto")
    assert not changes.stop(change, "change:veto")
    merchant = shop()
    assert (merchant.phone, merchant.phone_held_until) == (OLD, None)
    owner.refresh_from_db()
    assert owner.phone == OLD
    assert told() == [("change-stopped", OLD), ("change-stopped", NEW)]


def test_a_veto_undoes_what_was_built_upon_the_change(owner: User) -> None:
    first = done(owner, What.REGISTERED)
    later = done(owner, What.REGISTERED, "+8613900003065")
    assert changes.stop(first, "change:veto")
    later.refresh_from_db()
    assert (shop().phone, later.state) == (OLD, State.STOPPED)
    assert not changes.stop(later, "change:veto")


def test_a_phone_that_support_replaced_is_held_and_can_be_vetoed_as_well(owner: User) -> None:
    merchant = shop()
    merchant.phone = NEW
    merchant.save()
    changes.made_at_desk(merchant, OLD, "user:99")
    assert told() == [("phone-changed", OLD), ("way-registered", NEW)]
    assert addresses.is_held(shop().phone_held_until, timezone.now())
    assert changes.stop(AddressChange.objects.get(), "change:veto")
    assert shop().phone == OLD


def test_a_neighbours_sign_in_phone_stays(owner: User) -> None:
    neighbour = make_owner(make_other_merchant(), "neighbour")
    User.objects.get(pk=neighbour.pk)
    neighbour.phone = OLD
    neighbour.save()
    done(owner, What.REGISTERED)
    neighbour.refresh_from_db()
    assert neighbour.phone == OLD


# ── replacing, confirming, removing ─────────────────────────────────────────────────────────────────────────


def test_an_address_is_replaced_and_the_old_one_can_veto(owner: User) -> None:
    row = mail(owner).address
    assert row is not None
    change = done(owner, What.REPLACED, "new@example.com", kind="email", address=row, name=row.name)
    assert [way.to for way in addresses.ways(shop())] == ["new@example.com"]
    assert ("way-changed", MAIL) in told()
    assert changes.stop(change, "change:veto")
    assert [way.to for way in addresses.ways(shop())] == [MAIL]


def test_a_new_address_that_is_vetoed_is_gone(owner: User) -> None:
    assert changes.stop(done(owner), "change:veto")
    assert addresses.ways(shop()) == []
    done(owner)


def test_confirming_restarts_the_clock_and_tells_nobody(owner: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        row = mail(owner).address
        clock.shift(timedelta(days=76))
        assert not addresses.ways(shop())[0].confirmed
        Message.objects.all().delete()
        change = done(owner, What.CONFIRMED, MAIL, kind="email", address=row)
        assert addresses.ways(shop())[0].confirmed
        assert not addresses.ways(shop())[0].held
        done(owner, What.CONFIRMED, OLD)
        assert shop().phone_confirmed_at == timezone.now()
    assert change.state == State.DONE
    assert told() == []


def test_with_no_days_set_nobody_is_asked_to_confirm(owner: User, settings: Any) -> None:
    settings.REKEY_RECONFIRM_DAYS = 0
    assert not addresses.is_due(None, timezone.now())


def test_who_is_removed_is_told(owner: User) -> None:
    row = mail(owner).address
    assert row is not None
    Message.objects.all().delete()
    assert addresses.retire(row, "user:1")
    assert not addresses.retire(row, "user:1")
    assert told() == [("way-removed", OLD), ("way-removed", MAIL)]


def test_no_address_stands_in_the_trail_or_in_the_clear(owner: User) -> None:
    mail(owner)
    done(owner, What.REGISTERED)
    facts = str(list(AuditEvent.objects.values_list("tag", "actor", "subject", "facts")))
    assert not any(secret in facts for secret in (MAIL, NEW, OLD))
    assert Tag.ADDRESS_CHANGED.value in facts


@pytest.mark.django_db(transaction=True)
def test_of_two_vetoes_at_once_one_counts() -> None:
    change = done(make_owner(make_merchant()), What.REGISTERED)
    assert sorted(at_once(*[lambda: changes.stop(change, "change:veto")] * 4)) == [False] * 3 + [True]


@pytest.mark.django_db(transaction=True)
def test_a_code_sent_twenty_times_at_once_names_one_address() -> None:
    change = ask(make_owner(make_merchant()))
    code = code_of(change)
    at_once(*[lambda: changes.prove(change, code).ok] * 5)
    assert Address.objects.count() == 1
