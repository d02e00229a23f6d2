"""A terminal that was written from the protocol document alone, against the real processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import stack
from tests.stack import Stack

VECTORS = Path(__file__).parents[2] / "docs" / "vectors"
# Apart from the ports of the other live tests, which may run at the same time.
PORTS = range(18900, 19000)
COMMAND_WITHIN_S = 60
OLD, SENT = "2846", "719402"
TILLS = 7
THREE_HOURS_SLOW = "--clock=-10800"

pytestmark = [pytest.mark.live, pytest.mark.slow]


@dataclass
class NodeTerminal:
    """One till of the back office, and the state folder of the program that plays it."""

    program: Path
    state: Path
    shop: dict[str, Any]

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Start one of its commands."""
        line = ["node", str(self.program / "terminal.mjs"), command, *arguments, "--state", str(self.state)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process: subprocess.Popen[str], exits: int = 0) -> list[dict[str, Any]]:
        """Wait for a command; returns what it said, one object a line."""
        out, err = process.communicate(timeout=COMMAND_WITHIN_S)
        assert process.returncode == exits, f"{process.returncode}\n{out}\n{err}"
        return [json.loads(line) for line in out.splitlines()]

    def do(self, command: str, *arguments: str, exits: int = 0) -> list[dict[str, Any]]:
        """Run one of its commands to its end."""
        return self.finish(self.start(command, *arguments), exits)

    def pair(self, *typed: str) -> dict[str, Any]:
        """Pair it by what the QR code says, or by what somebody types."""
        initial = ["00:739154", f"01:{OLD}", "02:8065", "99:40718263"]
        operators = [word for one in initial for word in ("--operator", one)]
        code = typed or (self.shop["pairing_code"],)
        return self.do("enroll", *code, "--serial", self.shop["serial"], *operators)[-1]

    def sign_on(self, password: str, exits: int = 0, operator: str = "01") -> list[dict[str, Any]]:
        """Type a password at its sign-on screen."""
        return self.do("signon", "--op", operator, "--password", password, exits=exits)

    def record(self) -> dict[str, Any]:
        """What it would still know after a power cut."""
        known: dict[str, Any] = json.loads((self.state / "state.json").read_text())
        return known


def only(event: str, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of what was said, the events of one kind."""
    return [one for one in said if one["event"] == event]


def answers(said: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What each receipt said, and how the server took it."""
    return [(one["st"], one["r"]) for one in only("receipt", said)]


@pytest.fixture(scope="module")
def server(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The real processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "PORTS", PORTS)
        with stack.running(tmp_path_factory.mktemp("stack") / "var") as running:
            yield running


@pytest.fixture(scope="module")
def shops(server: Stack) -> Iterator[dict[str, Any]]:
    """Shops with one till each; a test takes the next."""
    return iter(server.office("shops", count=TILLS, operators=2))


@pytest.fixture
def till(program: Path, shops: Iterator[dict[str, Any]], tmp_path: Path) -> NodeTerminal:
    """A till that is not paired yet."""
    return NodeTerminal(program, tmp_path / "state", next(shops))


def command_of(server: Stack, identity: str) -> dict[str, Any]:
    """What the back office knows of a command."""
    (row,) = [row for row in server.office("commands") if row["id"] == identity]
    found: dict[str, Any] = row
    return found


def test_every_vector_that_a_terminal_can_judge_is_judged_right(program: Path) -> None:
    done = subprocess.run(
        ["node", str(program / "vectors.mjs"), str(VECTORS)],
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
        check=False,
    )
    files = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["file"]: one["failed"] for one in files if one["failed"]} == {}, done.stderr
    assert done.returncode == 0, done.stderr
    assert all(one["run"] == one["passed"] > 0 for one in files)
    assert len(files) == 7


def test_a_password_that_is_sent_is_accepted_and_the_old_one_refused(
    server: Stack, till: NodeTerminal
) -> None:
    assert till.pair()["tid"] == till.shop["terminal"]
    till.sign_on(OLD)
    command = server.office("reset", terminal=till.shop["terminal"], operator="01")

    said = till.do("run", "--once")

    assert [(one["st"], one["cmd"]) for one in only("token", said)] == [("applied", "set_credential")]
    assert answers(said) == [("applied", "ok")]
    assert command_of(server, command)["state"] == "applied"
    assert answers(till.sign_on(SENT)) == [("signed_on", "ok")]
    assert answers(till.sign_on(SENT)) == []
    till.sign_on(OLD, exits=1)
    assert SENT not in (till.state / "state.json").read_text()
    assert till.record()["outbox"] == []


def test_a_held_question_brings_a_command_as_soon_as_there_is_one(server: Stack, till: NodeTerminal) -> None:
    till.pair()
    till.do("run", "--once")
    working = till.start("run", "--seconds", "15")
    command = server.office("reset", terminal=till.shop["terminal"], operator="01")
    said = till.finish(working)
    assert answers(said) == [("applied", "ok")]
    assert command_of(server, command)["state"] == "applied"


def test_a_sale_puts_a_command_off_and_nothing_is_changed_by_it(server: Stack, till: NodeTerminal) -> None:
    till.pair()
    till.do("set", "busy")
    command = server.office("reset", terminal=till.shop["terminal"], operator="01")
    said = till.do("run", "--once")
    assert answers(said) == [("deferred", "ok")]
    till.do("set", "idle")
    assert only("token", till.do("run", "--once")) == []
    assert command_of(server, command)["state"] == "fetched"
    till.sign_on(OLD)


def test_a_terminal_goes_on_under_its_new_key_and_after_pairing_again(
    server: Stack, till: NodeTerminal
) -> None:
    root = till.pair()["root"]
    first = server.office("reset", terminal=till.shop["terminal"], operator="01")
    (rolled,) = only("rolled", till.do("roll"))
    assert rolled["from"] != rolled["to"]
    assert answers(till.do("run", "--once")) == [("applied", "ok")]
    assert command_of(server, first)["state"] == "applied"

    code = server.office("pairing_code", terminal=till.shop["terminal"])
    again = f"REKEY1:{server.origin}|{code}|{root}"
    (paired,) = only("paired", till.do("enroll", again))
    assert paired["tid"] == till.shop["terminal"]
    second = server.office("reset", terminal=till.shop["terminal"], operator="02")
    assert [st for st, _ in answers(till.do("run", "--once"))] == ["rejected"], "what another operator has"
    assert command_of(server, second)["reason"] == "policy_rejected"


def test_a_clock_three_hours_slow_and_a_code_typed_carelessly_cost_nothing(
    server: Stack, till: NodeTerminal
) -> None:
    code = till.shop["pairing_code"].split("|")[1].lower().replace("-", " ")
    till.pair(code, "--origin", server.origin, THREE_HOURS_SLOW)
    command = server.office("reset", terminal=till.shop["terminal"], operator="01")
    assert answers(till.do("run", "--once", THREE_HOURS_SLOW)) == [("applied", "ok")]
    assert command_of(server, command)["state"] == "applied"


def test_a_reset_starts_at_the_screen_and_may_be_started_again(till: NodeTerminal) -> None:
    till.pair()
    till.do("run", "--once")
    (screen,) = only("screen", till.do("forgot", "--op", "01", "--seconds", "0"))
    assert len(screen["match"]) == 2
    assert screen["match"] not in screen["verification_uri_complete"].rsplit("/", 1)[1]
    states = [one["state"] for one in only("recovery", till.do("forgot", "--op", "01", "--seconds", "0"))]
    assert states == ["pending"]
    till.do("forgot", "--op", "77", exits=2)


def test_an_offline_answer_opens_one_screen_and_one_that_nobody_gave_is_unknown(till: NodeTerminal) -> None:
    till.pair()
    (question,) = till.do("unlock", "--op", "01")
    assert len(question["question"]) == 10
    (computed,) = till.do("answer")
    new = ["--op", "01", "--new", "358149"]
    till.do("unlock", *new, "--answer", "00000000", exits=1)
    said = till.do("unlock", *new, "--answer", computed["answer"])
    assert answers(said) == [("applied", "unknown")]
    till.sign_on("358149")
    till.do("unlock", *new, "--answer", computed["answer"], exits=1)
