"""Signing in: two pages, ids only in the session, a new key at each step, one road for unknown accounts."""

from __future__ import annotations

import re
import statistics
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth import SESSION_KEY
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal import accounts
from portal.accounts import HashSlots, TooBusy, owner_required
from portal.devices import SMSDevice, TOTPDevice
from portal.models import AuditEvent, Merchant, Message, User
from tests.cast import PASSWORD, make_merchant, make_other_merchant, make_owner, make_staff, signed_in
from tests.hashers import CheapHasher
from tests.portal.signing_in import DOORS, HOME, another, enter, give_password, texted
from tests.portal.test_devices import code_now

pytestmark = pytest.mark.django_db

NONCES = re.compile(r'value="[A-Za-z0-9]{64}"')


@pytest.fixture(autouse=True)
def wide_limits(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"sign-in": "10000/hour", "password-per-account-and-address": "10000/hour"}


@pytest.fixture
def owner() -> User:
    return make_owner(app=False)


def person(door: str) -> User:
    return make_owner(app=False) if door == "owner" else make_staff()


# ── the way in ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("door", DOORS)
def test_password_then_code_lead_home(door: str, client: Client) -> None:
    person(door)
    page, code_page, home = DOORS[door]
    assert client.get(page).status_code == 200
    assert give_password(client, door, door).headers["Location"] == code_page
    assert client.get(code_page).status_code == 200
    assert client.post(code_page, {"code": texted()}).headers["Location"] == home
    assert client.get("/admin/").status_code == (200 if door == "staff" else 302)


@pytest.mark.parametrize("door", DOORS)
def test_T36_the_password_alone_opens_nothing(door: str, client: Client) -> None:
    person(door)
    give_password(client, door, door)
    assert SESSION_KEY not in client.session
    assert client.get("/admin/").status_code == 302


def test_the_app_is_asked_before_the_phone(owner: User, client: Client) -> None:
    app = TOTPDevice.objects.create(user=owner, name="app")
    give_password(client, "owner", "owner")
    assert Message.objects.count() == 0
    assert client.post("/sign-in/code", {"code": code_now(app)}).status_code == 302
    assert SESSION_KEY in client.session


def test_wrong_codes_are_counted_and_the_fifth_ends_it(owner: User, client: Client) -> None:
    give_password(client, "owner", "owner")
    left = [client.post("/sign-in/code", {"code": another(texted())}).context["tries_left"] for _ in range(5)]
    assert left == [4, 3, 2, 1, 0]
    last = client.post("/sign-in/code", {"code": texted()})
    assert last.status_code == 200
    assert last.context["dead"]
    assert SESSION_KEY not in client.session


def test_what_cannot_be_a_code_costs_no_try(owner: User, client: Client) -> None:
    give_password(client, "owner", "owner")
    answer = client.post("/sign-in/code", {"code": "12345²"})
    assert answer.context["tries_left"] == 5


def test_a_resend_is_the_same_code_a_minute_later(owner: User, client: Client) -> None:
    give_password(client, "owner", "owner")
    code = texted()
    assert client.post("/sign-in/code/resend").status_code == 302
    assert Message.objects.count() == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        client.post("/sign-in/code/resend")
        assert Message.objects.count() == 2
        assert texted() == code
        assert client.get("/sign-in/code").context["wait"] >= 59


def test_looking_at_the_code_page_again_sends_nothing(owner: User, client: Client) -> None:
    give_password(client, "owner", "owner")
    for _ in range(3):
        client.get("/sign-in/code")
    assert Message.objects.count() == 1
    assert client.get("/sign-in/code/resend").status_code == 405


def test_the_code_page_is_closed_to_who_gave_no_password(client: Client) -> None:
    for path in ("/sign-in/code", "/admin/login/code/"):
        answer = client.post(path, {"code": "123456"})
        assert (answer.status_code, Message.objects.count()) == (302, 0)


def test_ten_minutes_after_the_password_one_starts_again(owner: User, client: Client) -> None:
    give_password(client, "owner", "owner")
    code = texted()
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        assert client.post("/sign-in/code", {"code": code}).headers["Location"] == "/sign-in"


# ── who may use which door ──────────────────────────────────────────────────────────────────────────────────


def refuse_owner_at_staff_door(owner: User) -> str:
    return "staff"


def close_merchant(owner: User) -> str:
    Merchant.objects.update(status=Merchant.Status.CLOSED)
    return "owner"


def deactivate(owner: User) -> str:
    User.objects.update(is_active=False)
    return "owner"


def take_phone(owner: User) -> str:
    owner.phone = ""
    owner.save()
    return "owner"


def take_device(owner: User) -> str:
    SMSDevice.objects.filter(user=owner).delete()
    return "owner"


BARRED = [refuse_owner_at_staff_door, close_merchant, deactivate, take_phone, take_device]


def bare(answer: HttpResponse) -> str:
    headers = sorted(item for item in answer.headers.items() if item[0] != "Expires")
    return NONCES.sub("", answer.content.decode()) + repr(headers)


@pytest.mark.parametrize("bar", BARRED)
def test_T03_who_may_not_come_in_is_told_what_an_unknown_account_is_told(
    bar: Callable[[User], str], owner: User, client: Client
) -> None:
    door = bar(owner)
    barred = bare(give_password(client, door, "owner"))
    unknown = bare(give_password(Client(), door, "nobod")).replace("nobod", "owner")
    assert barred == unknown
    assert Message.objects.count() == 0


def test_staff_do_not_come_in_by_the_owners_door(client: Client) -> None:
    make_staff()
    assert give_password(client, "owner", "staff").status_code == 200


def test_who_is_barred_between_password_and_code_stays_out(owner: User, client: Client) -> None:
    give_password(client, "owner", "owner")
    Merchant.objects.update(status=Merchant.Status.SUSPENDED)
    assert client.post("/sign-in/code", {"code": texted()}).headers["Location"] == "/sign-in"


def test_pages_of_one_door_do_not_serve_the_other(client: Client) -> None:
    make_staff()
    give_password(client, "staff", "staff")
    assert client.post("/sign-in/code", {"code": texted()}).headers["Location"] == "/sign-in"
    assert SESSION_KEY not in client.session


# ── unknown accounts walk the same road ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("door", DOORS)
def test_T03_unknown_and_known_accounts_get_the_same_bytes(door: str, client: Client) -> None:
    person(door)
    known = bare(give_password(Client(), door, door, "wrong"))
    unknown = bare(give_password(Client(), door, "nobod", "wrong")).replace("nobod", door)
    assert known == unknown


@pytest.mark.usefixtures("owner")
def test_T02_unknown_and_known_accounts_cost_the_same_queries_and_one_hash(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(CheapHasher, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            hashes.append(name)
            return real(*args, **kwargs)

        return call

    for name in ("encode", "verify"):
        monkeypatch.setattr(CheapHasher, name, counted(name))
    costs = []
    for username in ("owner", "stranger"):
        hashes.clear()
        with CaptureQueriesContext(connection) as queries:
            give_password(client, "owner", username, "wrong")
        costs.append((len(queries), len(hashes)))
    assert costs[0] == costs[1]
    assert costs[0][1] == 1


@pytest.mark.slow
def test_T02_unknown_and_known_accounts_take_the_same_time(owner: User, settings: LazySettings) -> None:
    settings.PASSWORD_HASHERS = ["portal.hashers.RekeyArgon2Hasher"]
    owner.set_password(PASSWORD)
    owner.save()
    client, took = Client(), {"owner": [], "stranger": []}  # type: ignore[var-annotated]
    for _ in range(40):
        for username, times in took.items():
            begun = time.thread_time()  # what others do on this machine is not our subject
            give_password(client, "owner", username, "wrong")
            times.append(time.thread_time() - begun)
    known, unknown = (statistics.median(times) for times in took.values())
    print(f"median known {known * 1000:.1f} ms, unknown {unknown * 1000:.1f} ms")
    assert abs(known - unknown) < 0.1 * known


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("username", ["owner", "stranger"])
def test_T36_after_ten_passwords_an_hour_even_the_right_one_waits(
    username: str, owner: User, client: Client, settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {"sign-in": "10000/hour"}
    answers = [give_password(client, "owner", username, "wrong").status_code for _ in range(10)]
    assert set(answers) == {200}
    refused = give_password(client, "owner", f" {username.upper()}")
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 3600


def test_T36_an_attacker_elsewhere_does_not_lock_the_owner_out(
    owner: User, client: Client, settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {}
    for _ in range(15):
        give_password(Client(REMOTE_ADDR="203.0.113.7"), "owner", "owner", "wrong")
    assert give_password(Client(REMOTE_ADDR="198.51.100.7"), "owner", "owner").status_code == 302


def test_T36_one_address_gets_so_many_passwords_whoever_they_are_for(
    client: Client, settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {"sign-in": "3/hour"}
    codes = [give_password(client, "owner", f"user{n}", "wrong").status_code for n in range(5)]
    assert codes == [200, 200, 200, 429, 429]


def test_T36_two_hashes_at_once_eight_wait_and_the_rest_are_told_so() -> None:
    slots, gate, told = HashSlots(2, 8), threading.Event(), []
    inside, most = threading.Semaphore(2), []

    def one() -> None:
        try:
            with slots.one():
                most.append(inside.acquire(blocking=False))
                gate.wait(5)
                inside.release()
        except TooBusy:
            told.append(1)

    threads = [threading.Thread(target=one) for _ in range(25)]
    for thread in threads:
        thread.start()
    while len(told) < 15:
        time.sleep(0.005)
    gate.set()
    for thread in threads:
        thread.join()
    assert (len(told), most) == (15, [True] * 10)


def test_T36_a_full_queue_answers_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "hashing", HashSlots(1, 0))
    with accounts.hashing.one():
        answer = give_password(client, "owner", "owner")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


# ── afterwards ──────────────────────────────────────────────────────────────────────────────────────────────


def test_signing_in_and_out_and_failing_are_on_record_without_names(owner: User, client: Client) -> None:
    give_password(client, "owner", "owner", "wrong")
    give_password(client, "owner", "stranger", "wrong")
    enter(client)
    client.post("/sign-out")
    tags = list(AuditEvent.objects.order_by("id").values_list("tag", flat=True))
    assert tags == [
        "portal:account:sign-in-refused",
        "portal:account:sign-in-refused",
        "portal:account:signed-in",
        "portal:account:new-browser",
        "portal:account:signed-out",
    ]
    kept = repr(list(AuditEvent.objects.values()))
    assert "stranger" not in kept
    assert "wrong" not in kept.replace("'reason': 'wrong'", "")


def guarded(user: User | None, *, second_factor: bool = True) -> int:
    client = signed_in(user, second_factor=second_factor) if user else Client()
    return client.get(HOME).status_code


def test_owner_pages_want_a_verified_owner_of_an_active_merchant(owner: User) -> None:
    neighbour = make_owner(make_other_merchant(), "neighbour")
    make_merchant()
    assert guarded(None) == 302
    assert guarded(owner, second_factor=False) == 302
    assert guarded(make_staff()) == 403
    assert guarded(owner) == 302
    TOTPDevice.objects.create(user=owner, name="app")
    assert guarded(owner) == 200
    assert neighbour.merchant
    Merchant.objects.filter(pk=neighbour.merchant.pk).update(status=Merchant.Status.CLOSED)
    assert guarded(User.objects.get(username="neighbour")) == 403


def test_the_guard_keeps_the_address_to_come_back_to(rf: RequestFactory, client: Client) -> None:
    @owner_required
    def page(request: Any) -> HttpResponse:
        return HttpResponse("in")

    request = rf.get("/somewhere?x=1")
    request.user = User()
    assert page(request).headers["Location"] == "/sign-in?next=/somewhere%3Fx%3D1"
