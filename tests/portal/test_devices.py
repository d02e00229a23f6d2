"""Second factors: sealed seeds, codes that count once, and django-otp's interface over them (T37)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.db import connection
from django.db.utils import IntegrityError
from django_otp import devices_for_user, match_token, user_has_device, verify_token
from django_otp.models import Device
from django_otp.oath import totp

from portal.codes import derive_code
from portal.devices import SMSDevice, TOTPDevice
from portal.limits import TooMany
from portal.models import Challenge, Message, User
from portal.secrets import pepper
from tests.cast import make_owner
from tests.portal.parallel import in_parallel

NOON = datetime(2026, 11, 24, 12, 0, 10, tzinfo=UTC)


@pytest.fixture
def owner(db: None) -> User:
    return make_owner(app=False)


@pytest.fixture
def phone(owner: User) -> SMSDevice:
    device: SMSDevice = SMSDevice.objects.get(user=owner)
    return device


@pytest.fixture
def app(owner: User) -> TOTPDevice:
    device: TOTPDevice = TOTPDevice.objects.create(user=owner, name="app")
    return device


def code_now(app: TOTPDevice, steps: int = 0) -> str:
    return f"{totp(base64.b32decode(app.seed), t0=-30 * steps):06}"


def texted(device: SMSDevice) -> str:
    return derive_code(pepper(), device.pending, "sign-in")


# ── django-otp's interface ──────────────────────────────────────────────────────────────────────────────────


def test_django_otp_finds_both_devices(owner: User, phone: SMSDevice, app: TOTPDevice) -> None:
    assert set(devices_for_user(owner)) == {phone, app}
    assert user_has_device(owner)
    assert Device.from_persistent_id(app.persistent_id) == app


def test_one_is_asked_and_the_other_is_not(phone: SMSDevice, app: TOTPDevice) -> None:
    assert phone.is_interactive()
    assert not app.is_interactive()


def test_django_otp_verifies_an_app_through_its_own_door(owner: User, app: TOTPDevice) -> None:
    code = code_now(app)
    assert verify_token(owner, app.persistent_id, code) == app
    assert verify_token(owner, app.persistent_id, code) is None


def test_trying_a_code_on_every_device_opens_no_phone(owner: User, phone: SMSDevice) -> None:
    phone.generate_challenge()
    assert match_token(owner, texted(phone)) is None


# ── the phone ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_challenge_texts_the_user_and_says_where_to(phone: SMSDevice) -> None:
    assert phone.generate_challenge() == "138****2046"
    message = Message.objects.get()
    assert (message.template, message.phone, message.challenge_id) == (
        "sign-in",
        "+8613800002046",
        phone.pending,
    )


def test_the_texted_code_is_right_once(phone: SMSDevice) -> None:
    phone.generate_challenge()
    assert phone.verify_token(texted(phone))
    assert not phone.verify_token(texted(phone))


def test_a_device_fresh_from_the_database_accepts_nothing(phone: SMSDevice) -> None:
    phone.generate_challenge()
    assert not SMSDevice.objects.get(pk=phone.pk).verify_token(texted(phone))


def test_the_code_of_another_browser_is_not_ours(phone: SMSDevice) -> None:
    theirs = SMSDevice.objects.get(pk=phone.pk)
    phone.generate_challenge()
    theirs.generate_challenge()
    assert not phone.verify_token(texted(theirs))


def test_a_new_phone_makes_the_old_code_void(owner: User, phone: SMSDevice) -> None:
    phone.generate_challenge()
    owner.phone = "+8613800002099"
    owner.save()
    fresh = SMSDevice.objects.get(pk=phone.pk)
    fresh.pending = phone.pending
    assert not fresh.verify_token(texted(phone))


def test_a_phone_gets_only_so_many_texts_a_day(phone: SMSDevice) -> None:
    for _ in range(20):
        phone.generate_challenge()
    with pytest.raises(TooMany):
        phone.generate_challenge()
    assert Challenge.objects.count() == 20


def test_one_phone_per_user(owner: User) -> None:
    with pytest.raises(IntegrityError):
        SMSDevice.objects.create(user=owner, name="second")


# ── the app ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_of_the_step_before_or_after_is_accepted(app: TOTPDevice, steps: int, right: bool) -> None:
    with time_machine.travel(NOON, tick=False):
        assert app.verify_token(code_now(app, steps)) is right


@pytest.mark.parametrize("later", [0, 30, 60])
def test_T37_a_code_is_not_replayed_in_its_step_or_the_next(app: TOTPDevice, later: int) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        code = code_now(app)
        assert app.verify_token(code)
        clock.shift(later)
        assert app.judge(code).reason in ("used", "wrong")


def test_T37_after_a_code_the_one_before_it_is_void(app: TOTPDevice) -> None:
    with time_machine.travel(NOON, tick=False):
        assert app.verify_token(code_now(app))
        assert not app.verify_token(code_now(app, -1))
        assert app.verify_token(code_now(app, 1))


@pytest.mark.parametrize("odd", ["+{}", "{}_", " ", "", "{}²", "{}1", "12345", "\u200b{}"])
def test_T37_odd_digits_are_malformed_and_cost_no_try(app: TOTPDevice, odd: str) -> None:
    for _ in range(30):
        assert app.judge(odd.format(code_now(app))).reason == "malformed"
    assert app.verify_token(code_now(app))


def test_after_twenty_tries_in_an_hour_the_right_code_is_refused(app: TOTPDevice) -> None:
    with time_machine.travel(NOON, tick=False):
        right = code_now(app)
        wrong = f"{(int(right) + 500_000) % 1_000_000:06}"
        reasons = [app.judge(wrong).reason for _ in range(20)]
        assert set(reasons) == {"wrong"}
        assert app.judge(right).reason == "exhausted"


@pytest.mark.django_db(transaction=True)
def test_T37_of_fifteen_right_codes_at_once_one_is_accepted() -> None:
    app = TOTPDevice.objects.create(user=make_owner(app=False), name="app")
    code = code_now(app)
    assert sum(in_parallel(15, lambda: app.verify_token(code), width=15)) == 1


def test_T37_the_tables_hold_no_usable_seed(owner: User, app: TOTPDevice) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM portal_totpdevice")
        stored = repr(cursor.fetchall())
    raw = base64.b32decode(app.seed)
    assert len(raw) == 20
    for shape in (app.seed, raw.hex(), base64.b64encode(raw).decode()):
        assert shape not in stored


def test_the_enrolment_address_is_what_apps_read(app: TOTPDevice) -> None:
    address = urlsplit(app.enrolment_uri())
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/Rekey%3Aowner")
    assert parse_qs(address.query) == {
        "secret": [app.seed], "issuer": ["Rekey"], "digits": ["6"], "period": ["30"],
    }  # fmt: skip


RFC_6238 = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


@pytest.mark.parametrize("seconds", RFC_6238)
def test_the_vectors_of_rfc_6238_are_accepted_at_their_time_and_an_hour_later_not(
    owner: User, seconds: int
) -> None:
    seed = base64.b32encode(b"12345678901234567890").decode()
    app = TOTPDevice.objects.create(user=owner, name="app", seed=seed)
    with time_machine.travel(datetime.fromtimestamp(seconds + 3600, UTC), tick=False):
        assert not app.judge(RFC_6238[seconds]).ok
    with time_machine.travel(datetime.fromtimestamp(seconds, UTC), tick=False):
        assert app.judge(RFC_6238[seconds]).ok
