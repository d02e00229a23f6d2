"""The chain over the audit trail: whatever is done to its rows is found, without writing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import Error, connection, models, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from portal import tasks
from portal.audit import Tag, record
from portal.audit_chain import fence, heads, keyfile, links, verify
from portal.checks import trail_can_be_signed
from portal.models import AuditEvent, AuditHead, AuditLink
from tests.cast import make_merchant

pytestmark = pytest.mark.django_db
SIZE = 8


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """Where the worker's keys lie."""
    settings.REKEY_ISSUER_KEY_FILE = str(tmp_path)
    return tmp_path


@pytest.fixture
def unfenced(db: None) -> None:
    """Somebody who owns the tables took the fence away."""
    take_fence_down()


def take_fence_down() -> None:
    """As the owner of the tables can, until the test's transaction ends."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    fence.take_down(connection)


def tell(count: int) -> None:
    """So many events, each with facts of its own."""
    merchant = make_merchant()
    for number in range(count):
        record(Tag.SIGN_IN, actor=f"user:{number}", merchant=merchant, subject="店", number=number, half=0.5)


def signed_trail() -> str:
    """Eight events, sealed and signed; returns the head as it is kept elsewhere."""
    tell(SIZE)
    tasks.sign_audit()
    return heads.exported(AuditHead.objects.get())


def wrong(*kept: str, key: str | None = None) -> list[str]:
    """What the check finds."""
    return list(verify.problems([heads.read(one) for one in kept], key))


def test_a_trail_left_alone_is_whole_and_sealing_again_adds_nothing() -> None:
    head = signed_trail()
    assert (wrong(head), links.seal(), links.seal(everywhere=True)) == ([], 0, 0)
    assert AuditLink.objects.count() == SIZE
    tell_more = record(Tag.SIGN_OUT, actor="user:9")
    tasks.seal_audit()
    assert AuditLink.objects.get(event=tell_more).seq == SIZE + 1
    assert wrong(head) == []


def delete(one: int, _other: int) -> None:
    AuditEvent.objects.filter(pk=event_of(one)).delete()


def cut_out(one: int, _other: int) -> None:
    AuditLink.objects.filter(seq=one).delete()
    delete_unlinked()


def cut_range(one: int, other: int) -> None:
    AuditLink.objects.filter(seq__gte=min(one, other), seq__lte=max(one, other)).delete()
    delete_unlinked()


def cut_newest(one: int, _other: int) -> None:
    AuditLink.objects.filter(seq__gte=one).delete()
    delete_unlinked()


def swap_events(one: int, other: int) -> None:
    first, second = event_of(one), event_of(other)
    AuditLink.objects.filter(seq=one).update(event_id=-1)
    AuditLink.objects.filter(seq=other).update(event_id=first)
    AuditLink.objects.filter(seq=one).update(event_id=second)


def swap_links(one: int, other: int) -> None:
    AuditLink.objects.filter(seq=one).update(seq=-1)
    AuditLink.objects.filter(seq=other).update(seq=one)
    AuditLink.objects.filter(seq=-1).update(seq=other)


def delete_and_make_anew(one: int, _other: int) -> None:
    """What the owner of the database does: all links worked out anew over what is left."""
    AuditEvent.objects.filter(pk=event_of(one)).delete()
    AuditLink.objects.all().delete()
    links.seal(everywhere=True)


def edit(**changed: Any) -> Callable[[int, int], None]:
    def change(one: int, _other: int) -> None:
        AuditEvent.objects.filter(pk=event_of(one)).update(**changed)

    return change


def event_of(seq: int) -> int:
    return AuditLink.objects.get(seq=seq).event_id


def delete_unlinked() -> None:
    AuditEvent.objects.filter(link__isnull=True).delete()


TAMPERINGS: dict[str, Callable[[int, int], None]] = {
    "delete": delete,
    "cut out with its link": cut_out,
    "cut a range": cut_range,
    "cut the newest": cut_newest,
    "swap events": swap_events,
    "swap links": swap_links,
    "delete and make anew": delete_and_make_anew,
    "who": edit(actor="user:666"),
    "what": edit(tag=Tag.SIGN_OUT.value),
    "about": edit(subject=""),
    "when": edit(at=timezone.now() - timedelta(microseconds=1)),
    "whose": edit(merchant=None),
    "facts": edit(facts={"number": "0", "half": 0.5}),
    "shift": edit(at=models.F("at") + timedelta(days=1)),
}


@pytest.mark.usefixtures("unfenced")
@rules(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(TAMPERINGS)),
    places=st.lists(st.integers(1, SIZE), min_size=2, max_size=2, unique=True),
    sealed_again=st.booleans(),
)
def test_every_tampering_is_found(kind: str, places: list[int], sealed_again: bool) -> None:
    AuditHead.objects.all().delete()
    AuditLink.objects.all().delete()
    AuditEvent.objects.all().delete()
    signed_trail()
    TAMPERINGS[kind](*places)
    if sealed_again:
        tell(2)
        links.seal(everywhere=True)
    assert wrong()


def test_a_trail_wiped_with_its_heads_is_found_by_a_head_kept_elsewhere() -> None:
    head = signed_trail()
    for table in (AuditHead, AuditLink, AuditEvent):
        table.objects.all()._raw_delete("default")
    assert wrong() == []
    assert wrong(head)


def test_a_head_by_another_key_is_refused(folder: Path) -> None:
    head = signed_trail()
    mine = keyfile.public_half(keyfile.load_from(folder / keyfile.KEY_FILE))
    assert wrong(head, key=mine) == []
    (folder / keyfile.KEY_FILE).unlink()
    keyfile.make_key(folder / keyfile.KEY_FILE)
    AuditHead.objects.all().delete()
    tasks.sign_audit()
    assert wrong() == []
    assert wrong(key=mine)
    forged = json.loads(head) | {"digest": "0" * 64}
    assert any("not signed" in one for one in wrong(json.dumps(forged)))


@pytest.mark.parametrize("text", ["", "[]", "{}", "7"])
def test_what_is_no_head_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        heads.read(text)
    file = tmp_path / "head.json"
    file.write_text(text or "x")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("verifyaudit", head=[file])


def test_an_event_that_is_committed_late_gets_its_link_at_the_end() -> None:
    tell(3)
    late = AuditEvent.objects.order_by("pk").first()
    assert late is not None
    seen = AuditEvent.objects.exclude(pk=late.pk).values_list("pk", flat=True)
    assert len(seen) == 2
    row = AuditEvent.objects.filter(pk=late.pk).values().get()
    AuditEvent.objects.filter(pk=late.pk).delete()
    links.seal()
    AuditEvent.objects.bulk_create([AuditEvent(**row)])
    assert links.seal() == 1
    assert AuditLink.objects.get(event=row["id"]).seq == 3
    assert wrong() == []


def test_a_long_way_is_gone_in_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "BATCH", 3)
    monkeypatch.setattr(links, "LONGEST_S", 0.0)
    tell(SIZE)
    assert [links.seal() for _ in range(4)] == [3, 3, 2, 0]
    assert wrong() == []


def test_the_commands_say_what_is_whole_and_fail_where_it_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fence.put_up(connection)
    with pytest.raises(CommandError, match="no head"):
        call_command("exportaudit")
    signed_trail()
    capsys.readouterr()
    call_command("exportaudit")
    kept = tmp_path / "heads.jsonl"
    kept.write_text(capsys.readouterr().out)
    call_command("auditkey", tmp_path)
    key = capsys.readouterr().out.strip()
    call_command("verifyaudit", head=[kept], key=key)
    assert f"{SIZE} links are whole, 0 events wait" in capsys.readouterr().out
    take_fence_down()
    with pytest.raises(CommandError, match="portal_auditevent_no_delete is missing"):
        call_command("verifyaudit", head=[kept], key=key)
    AuditEvent.objects.filter(pk=event_of(2)).update(actor="")
    with pytest.raises(CommandError, match="was changed"):
        call_command("verifyaudit", head=[kept], key=key)


@pytest.mark.parametrize("table", [AuditEvent, AuditLink, AuditHead])
@pytest.mark.parametrize("act", ["update", "delete"])
def test_the_database_refuses_to_change_or_delete_rows(table: type[models.Model], act: str) -> None:
    fence.put_up(connection)
    signed_trail()
    rows = table._default_manager.all()
    changed = "actor" if table is AuditEvent else "digest"
    with pytest.raises(Error, match="only grows"), transaction.atomic():
        rows.update(**{changed: "x"}) if act == "update" else rows._raw_delete("default")
    assert wrong() == []


def test_a_fence_with_a_gap_is_noticed() -> None:
    fence.put_up(connection)
    assert fence.missing(connection) == []
    fence.take_down(connection, ["update"])
    assert fence.missing(connection) == [f"{table}_no_update" for table in fence.TABLES]


@pytest.mark.django_db(transaction=True)
def test_the_check_writes_nothing_so_a_connection_that_cannot_will_do() -> None:
    fence.put_up(connection)
    signed_trail()
    sqlite = connection.vendor == "sqlite"
    on, off = (
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF")
        if sqlite
        else ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off")
    )
    with connection.cursor() as cursor:
        cursor.execute(on)
    try:
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            record(Tag.SIGN_OUT, actor="user:1")
        call_command("verifyaudit")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(off)
        fence.take_down(connection, fence.EMPTYING)


def test_staff_hear_of_links_that_came_late_and_of_a_missing_key(folder: Path) -> None:
    signed_trail()
    alarms = AuditEvent.objects.filter(tag=Tag.TRAIL_UNSIGNED)
    tasks.sign_audit()
    assert not alarms.exists()
    AuditEvent.objects.create(tag=Tag.SIGN_IN.value, at=timezone.now() - timedelta(minutes=11))
    tasks.sign_audit()
    assert alarms.get().facts == {"reason": "late"}
    (folder / keyfile.KEY_FILE).unlink()
    tasks.sign_audit()
    assert [one.facts["reason"] for one in alarms] == ["no-key", "late"]
    assert not (folder / keyfile.KEY_FILE).exists()


def test_a_key_open_to_others_signs_nothing(folder: Path, settings: Any) -> None:
    keyfile.make_key(folder / keyfile.KEY_FILE)
    (folder / keyfile.KEY_FILE).chmod(0o644)
    with pytest.raises(keyfile.NoAuditKey, match="chmod 600"):
        heads.load_key()
    with pytest.raises(CommandError, match="chmod 600"):
        call_command("auditkey", folder)
    settings.REKEY_ISSUER_KEY_FILE = ""
    with pytest.raises(keyfile.NoAuditKey, match="not set"):
        heads.load_key()


def test_a_worker_without_the_key_is_warned_of(folder: Path, settings: Any) -> None:
    settings.REKEY_ROLE, settings.REKEY_DEMO, settings.DEBUG = "worker", False, False
    assert [found.id for found in trail_can_be_signed()] == ["rekey.W036"]
    keyfile.make_key(folder / keyfile.KEY_FILE)
    assert trail_can_be_signed() == []
