"""Every vector in docs/vectors is judged by our own code, as a terminal and as a server, as it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from portal.secrets import pepper
from terminals import jose, ocra, pairing
from terminals.claims import parse_sealed
from terminals.headers import parse_telemetry
from terminals.keys import issuer
from terminals.keys.keyfiles import SIGNING_FILE
from terminals.models import Command, CommandToken, PairingCode, Terminal
from terminals.protocol import ProtocolError, strict_json
from terminals.simulator.checks import check_keyset
from tests import cast
from tests.terminals.tills import SetClock, enrolled
from tests.vectors import __main__ as generator
from tests.vectors import vector, world
from tests.vectors.vector import Read

KINDS = list(generator.SHEETS)
ALL = {kind: list(vector.read(kind)) for kind in KINDS}
README = (vector.FOLDER / "README.md").read_text("utf-8")


def each(*kinds: str) -> Any:
    """One test for each vector of these kinds."""
    found = [one for kind in kinds for one in ALL[kind]]
    return pytest.mark.parametrize("given", found, ids=[one.id for one in found])


# --- the files --------------------------------------------------------------------------------------------


def test_the_files_are_what_the_generator_makes() -> None:
    for name, text in generator.files().items():
        assert (vector.FOLDER / name).read_text("utf-8") == text, "run `python -m tests.vectors`"
    assert {path.name for path in vector.FOLDER.glob("*.json")} == set(generator.files())


def test_there_are_enough_vectors_and_each_has_a_name_of_its_own() -> None:
    names = [one.id for found in ALL.values() for one in found]
    assert len(names) >= 1000 and len(set(names)) == len(names)
    assert [kind for kind in KINDS if f"`{kind}.json`" not in README] == []


def test_every_group_of_forgeries_and_every_row_is_there_or_says_why_not() -> None:
    groups = {group for found in ALL.values() for one in found for group in one.groups}
    assert groups == {f"J{number:02}" for number in range(1, 31)}
    rows = {row for found in ALL.values() for one in found for row in one.rows}
    missing = set(range(1, 41)) - rows
    assert missing == {36, 38}
    assert [number for number in range(1, 41) if f"| {number} |" not in README] == []


def test_long_runs_are_written_short_and_read_back_whole() -> None:
    for text in ("", "a", "ab" * 5000, "x" + "." * 100_000 + "y", "a\nb" * 1000):
        assert vector.unpacked(vector.packed(text)) == text
    assert len(json.dumps(vector.packed("." * 1_000_000))) < 100


# --- a terminal -------------------------------------------------------------------------------------------


@each("command")
def test_a_terminal_judges_a_command(given: Read, tmp_path: Path) -> None:
    till = enrolled(tmp_path)
    till.clock = SetClock(given.state["now"])
    with till.store.transaction() as state:
        state.time_floor = given.state["time_floor"]
    for step in given.steps:
        if "busy" in step.get("state", {}):
            till.set_busy(step["state"]["busy"])
        handled, expect = till.receive(step["input"]), step["expect"]
        # A restart is carried out at once and reported after it.
        st = "applied" if handled.st == "begun" else handled.st
        assert (st, handled.rc) == (expect["st"], expect.get("rc"))
        assert till.store.load().hwm == expect.get("hwm", till.store.load().hwm)
        for number, password in expect.get("password", {}).items():
            assert till.sign_on(number, password).accepted


@each("sealed")
def test_a_terminal_opens_a_sealed_part(given: Read) -> None:
    for step in given.steps:
        try:
            plaintext = jose.open_sealed(step["input"], world.OPENING, given.state["apv"])
            parse_sealed(plaintext)
            result: dict[str, Any] = {"plaintext": plaintext}
        except (jose.JoseError, ProtocolError):
            result = {"code": "open_failed"}
        assert result == step["expect"]


@each("keyset")
def test_a_terminal_walks_keysets(given: Read, tmp_path: Path) -> None:
    till = enrolled(tmp_path)
    for step in given.steps:
        state = till.store.load()
        try:
            keyset = check_keyset(step["input"], state)
        except (jose.JoseError, ProtocolError):
            assert state.keyset["ver"] == step["expect"]["ver"]
            continue
        assert keyset.ver == step["expect"]["ver"]
        with till.store.transaction() as state:
            state.keyset["ver"] = keyset.ver
            state.roots = [jose.public_jwk(root) for root in keyset.roots]


# --- a server ---------------------------------------------------------------------------------------------


@pytest.fixture
def fixed_world(db: None, tmp_path: Path, settings: Settings) -> Iterator[Terminal]:
    """A server at T0 in which the terminal of the vectors is active and has been sent the one command."""
    settings.REKEY_ORIGIN = world.ORIGIN
    settings.REKEY_LIMITS = {**settings.REKEY_LIMITS, "pairing": "1000/hour"}
    with time_machine.travel(datetime.fromtimestamp(world.T0, UTC), tick=False):
        issuer.init_keys(tmp_path / "issuer")
        settings.REKEY_ISSUER_KEY_FILE = str(tmp_path / "issuer" / SIGNING_FILE)
        terminal = cast.make_terminal(id=world.TID)
        terminal.sign_key, terminal.sign_kid = jose.public_jwk(world.TERMINAL), jose.kid16(world.TERMINAL)
        terminal.enc_key, terminal.enc_kid = jose.public_jwk(world.OPENING), jose.kid16(world.OPENING)
        terminal.state, terminal.last_seq = Terminal.State.ACTIVE, 42
        terminal.activated_at = timezone.now()
        terminal.save()
        yield terminal


def issued(terminal: Terminal, state: str) -> None:
    """The command of the first vector, as if the terminal had fetched it."""
    claims = world.command()
    token = world.COMMAND.good()
    Command.objects.create(
        id=claims["cid"],
        terminal=terminal,
        kind=claims["cmd"],
        operator_number=claims["op"],
        requested_by="usr_1",
        state=state,
        jkt=claims["jkt"],
        seq=claims["seq"],
        jti=claims["jti"],
        token_digest=jose.digest(token),
        sealed=claims["sealed"],
        sealed_kid=jose.kid16(world.OPENING),
        attempt=1,
        pushed_at=timezone.now(),
        fetched_at=timezone.now(),
        expires_at=timezone.now() + timedelta(hours=72),
        finished_at=None if state == "fetched" else timezone.now(),
    )
    CommandToken.objects.create(
        jti=claims["jti"],
        command_id=claims["cid"],
        jkt=claims["jkt"],
        seq=claims["seq"],
        digest=jose.digest(token),
    )


def ask(method: str, path: str, body: str, bearer: str = "", content: str = "application/json") -> Any:
    """One request to the terminal API."""
    headers = {"Authorization": f"Bearer {bearer or world.BEARER.good()}"}
    raw = body.encode("utf-8", "surrogatepass")
    return Client(raise_request_exception=False).generic(
        method, f"/terminal/v1/{path}", raw, content_type=content, headers=headers
    )


def said(answer: Any, expect: dict[str, Any]) -> dict[str, Any]:
    """Those parts of an answer that the vector speaks of."""
    body = answer.json() if answer.content else {}
    return {name: answer.status_code if name == "status" else body.get(name) for name in expect}


@each("receipt")
def test_a_server_judges_receipts(given: Read, fixed_world: Terminal) -> None:
    issued(fixed_world, given.state["command"])
    for step in given.steps:
        answer = ask("POST", "receipts", json.dumps({"receipts": step["input"]}))
        if answer.status_code == 413:
            assert step["expect"] == ["invalid"] and len(step["input"][0]) > 32 * 1024
            continue
        assert [result["r"] for result in answer.json()["results"]] == step["expect"]


@each("bearer")
def test_a_server_judges_bearers(given: Read, fixed_world: Terminal) -> None:
    Terminal.objects.update(state=given.state["terminal"])
    (step,) = given.steps
    expect = step["expect"]
    with time_machine.travel(datetime.fromtimestamp(given.state["now"], UTC), tick=False):
        try:
            header = f"Bearer {step['input']}".encode().decode("latin-1")
            answer = Client().put("/terminal/v1/inventory", b"{}", headers={"Authorization": header})
        except ValueError:
            pytest.skip("no HTTP header can carry this")
    if expect["status"] == "ok":
        assert answer.status_code not in (401, 403)
    else:
        assert said(answer, expect) == expect


@each("enroll")
def test_a_server_judges_enrollments(given: Read, fixed_world: Terminal) -> None:
    Terminal.objects.update(state="new", sign_key=None, sign_kid=None, enc_key=None, enc_kid=None)
    others(given)
    now = timezone.now() - timedelta(seconds=given.state["code_age"])
    PairingCode.objects.create(
        terminal=fixed_world,
        selector="BCD",
        digest=pairing.digest("FGHJKL", pepper(), "BCD"),
        digits_selector="123",
        digits_digest=pairing.digest("45678901", pepper(), "123"),
        created_by="user:1",
        created_at=now,
        expires_at=now + timedelta(minutes=15),
    )
    for step in given.steps:
        answer = ask("POST", "enroll", step["input"], content="application/jose")
        expect = step["expect"]
        if len(step["input"]) > 4096:
            expect = {"status": 413, "code": "too_large"}
        assert said(answer, expect) == expect


@each("keyroll")
def test_a_server_judges_key_rolls(given: Read, fixed_world: Terminal) -> None:
    others(given)
    for step in given.steps:
        answer = ask("POST", "keys/roll", step["input"], content="application/jose")
        assert said(answer, step["expect"]) == step["expect"]


def others(given: Read) -> None:
    """Another terminal that has these keys already."""
    for key in given.state.get("registered", []):
        cast.make_terminal(sign_key=key, sign_kid=jose.kid16(key), state=Terminal.State.ACTIVE)


# --- both -------------------------------------------------------------------------------------------------


@each("json")
def test_json_is_read_strictly(given: Read) -> None:
    (step,) = given.steps
    try:
        strict_json(jose.unb64u(step["input"]))
        result: dict[str, Any] = {"ok": True}
    except ProtocolError as error:
        result = {"code": error.code}
    assert result == step["expect"]


@each("key")
def test_a_key_is_sound_or_refused(given: Read) -> None:
    (step,) = given.steps
    try:
        key = jose.validate_public_key(step["input"], given.state["crv"])
        result = {"thumbprint": jose.thumbprint(key), "kid": jose.kid16(key)}
    except jose.JoseError as error:
        result = {"code": error.code}
    assert result == step["expect"]


@each("pairing-code")
def test_a_code_is_read_however_it_was_typed(given: Read) -> None:
    (step,) = given.steps
    if "qr" in step["expect"]:
        qr = pairing.parse_qr(step["input"])
        assert (qr and {"origin": qr.origin, "code": qr.code, "root": qr.root}) == step["expect"]["qr"]
        return
    code = pairing.normalise(step["input"])
    assert (code and {"selector": code.selector, "secret": code.secret}) == step["expect"]["code"]


@each("telemetry")
def test_telemetry_is_kept_as_far_as_it_makes_sense(given: Read) -> None:
    (step,) = given.steps
    telemetry = parse_telemetry(step["input"])
    kept = {name: getattr(telemetry, name) for name in (telemetry.__slots__ if telemetry else ())}
    assert {name: value for name, value in kept.items() if value is not None} == step["expect"]["kept"]


@each("ocra")
def test_an_offline_answer_is_computed_and_a_question_understood(given: Read) -> None:
    (step,) = given.steps
    asked, expect = dict(step["input"]), step["expect"]
    if "typed" in asked:
        assert understood(**asked) == expect
        return
    tid, op = asked.pop("tid", ""), asked.pop("op", "")
    if tid:
        assert asked["session"] == hashlib.sha256(f"rekey-ocra/1|{tid}|pwd|{op}".encode()).hexdigest()
    suite, key, question = asked.pop("suite"), bytes.fromhex(asked.pop("key")), asked.pop("question")
    assert ocra.ocra(suite, key, question, **asked) == expect["answer"]


def understood(typed: str, last_seen: int) -> dict[str, Any]:
    """What a server makes of the digits somebody copied from the screen."""
    question = ocra.read_question(typed)
    if question is None:
        return {"code": "not_ten_digits"}
    if ocra.is_slip(question):
        return {"code": "slip"}
    counter = ocra.rebuild_counter(question, last_seen)
    return {"code": "out_of_window"} if counter is None else {"counter": counter}
