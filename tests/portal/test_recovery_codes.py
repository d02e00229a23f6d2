"""Ten codes on a sheet: shown once, kept as digests, each spent once, and only the newest sheet is alive."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client

from portal import recovery_codes
from portal.audit import Tag
from portal.models import AuditEvent, Merchant, Message, RecoveryCode
from portal.paper import read
from tests.cast import make_merchant, make_other_merchant, make_owner, signed_in
from tests.portal.parallel import in_parallel

pytestmark = pytest.mark.django_db
BY = "user:7"


@pytest.fixture
def merchant() -> Merchant:
    return make_merchant()


@pytest.fixture
def owner(merchant: Merchant) -> Client:
    return signed_in(make_owner(merchant))


def texts() -> list[str]:
    return list(Message.objects.order_by("created_at").values_list("template", flat=True))


def test_T37_a_code_opens_one_thing_once(merchant: Merchant) -> None:
    code = recovery_codes.make(merchant, BY)[3]
    assert recovery_codes.use(merchant, code.lower().replace("-", " "), "rec_1")
    assert not recovery_codes.use(merchant, code, "rec_2")
    assert recovery_codes.left(merchant) == 9
    row = RecoveryCode.objects.get(used_at__isnull=False)
    assert row.used_for == "rec_1"


def test_the_phone_is_told_of_a_new_sheet_and_of_each_use(merchant: Merchant) -> None:
    codes = recovery_codes.make(merchant, BY)
    recovery_codes.use(merchant, codes[0], "rec_1")
    assert texts() == ["paper-made", "paper-used"]
    assert Message.objects.get(template="paper-used").facts["left"] == 9
    assert list(AuditEvent.objects.values_list("tag", flat=True)) == [Tag.CODE_USED, Tag.CODES_MADE]


def test_a_new_sheet_kills_the_old_one(merchant: Merchant) -> None:
    old, new = recovery_codes.make(merchant, BY), recovery_codes.make(merchant, BY)
    assert not any(recovery_codes.use(merchant, code, "rec_1") for code in old)
    assert recovery_codes.use(merchant, new[9], "rec_1")


def test_a_neighbours_code_opens_nothing(merchant: Merchant) -> None:
    code = recovery_codes.make(make_other_merchant(), BY)[0]
    assert not recovery_codes.use(merchant, code, "rec_1")


@pytest.mark.parametrize("typed", ["", "no code", "ABCD-EFGH-JKMN-PQRV", "²" * 16, "\x00"])
def test_what_is_no_code_opens_nothing(merchant: Merchant, typed: str) -> None:
    recovery_codes.make(merchant, BY)
    assert not recovery_codes.use(merchant, typed, "rec_1")


def test_T37_no_code_stands_in_the_database(merchant: Merchant) -> None:
    codes = recovery_codes.make(merchant, BY)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM portal_recoverycode")
        dump = str(cursor.fetchall())
    assert not any(written in dump or read(written) in dump for written in codes)


@pytest.mark.django_db(transaction=True)
def test_T37_of_ten_at_once_one_spends_the_code() -> None:
    merchant = make_merchant()
    code = recovery_codes.make(merchant, BY)[0]
    spent = in_parallel(10, lambda: recovery_codes.use(merchant, code, "rec_1"))
    assert spent.count(True) == 1


@pytest.mark.django_db(transaction=True)
def test_two_sheets_made_at_once_leave_one_alive() -> None:
    merchant = make_merchant()
    in_parallel(4, lambda: recovery_codes.make(merchant, BY))
    assert recovery_codes.left(merchant) == 10


# ── the owner's pages ───────────────────────────────────────────────────────────────────────────────────────


def test_the_card_is_shown_once(owner: Client, merchant: Merchant) -> None:
    asked = owner.get("/proofs/paper")
    assert asked.status_code == 200
    assert not RecoveryCode.objects.exists()
    card = owner.post("/proofs/paper")
    codes = card.context["codes"]
    assert len(codes) == 10 and all(code in card.content.decode() for code in codes)
    assert card.headers["Cache-Control"].startswith(("no-store", "max-age=0"))
    later = owner.get("/proofs/paper").content.decode() + owner.get("/proofs").content.decode()
    assert not any(code in later for code in codes)


def test_the_page_tells_how_many_are_left(owner: Client, merchant: Merchant) -> None:
    codes = recovery_codes.make(merchant, BY)
    recovery_codes.use(merchant, codes[0], "rec_1")
    page = owner.get("/proofs", headers={"Accept-Language": "en"}).content.decode()
    assert '<span class="num">9</span>' in page
    assert "A code of this card was used" in page


def test_T37_an_old_sign_in_makes_no_card(owner: Client, age: Callable[[Client, int], None]) -> None:
    age(owner, 601)
    assert owner.post("/proofs/paper").headers["Location"] == "/account/confirm?next=%2Fproofs%2Fpaper"
    assert not RecoveryCode.objects.exists()


@pytest.fixture
def age() -> Callable[[Client, int], None]:
    def older(client: Client, seconds: int) -> None:
        session = client.session
        session["proved_at"] -= seconds
        session.save()

    return older


def test_strangers_see_no_page() -> None:
    assert [Client().get(page).status_code for page in ("/proofs", "/proofs/paper")] == [302, 302]
