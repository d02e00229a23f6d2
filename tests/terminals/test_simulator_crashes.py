"""The power may go at any moment: what is found afterwards is the old state or the new one, whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from terminals import jose, ocra
from terminals.conformance.server import serving
from terminals.simulator import failpoints
from terminals.simulator.failpoints import COMMITS, OLD, POINTS, SENDS, STAGES, VARIABLE, PowerCut
from terminals.simulator.state import State
from tests.terminals.machines import KeyedServer, Machine, entry, issue_reset, paired
from tests.terminals.tills import enrolled
from tests.vectors import world
from tests.vectors.world import HWM

ROOT = Path(__file__).parents[2]
ROUNDS = 8


class Fuse:
    """Notes which points are passed, and cuts the power at the chosen pass of one of them."""

    def __init__(self, machine: Machine, point: str = "", passes: int = 1) -> None:
        self.machine = machine
        self.point = point
        self.left = passes
        self.seen: list[str] = []
        self.before: State | None = None

    def __call__(self, point: str) -> None:
        self.seen.append(point)
        if point.endswith("/before-commit"):
            self.before = self.machine.state
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                raise PowerCut(point)

    def check_that_the_state_is_whole(self) -> None:
        """Old up to the moment when the new file takes its name, new from then on."""
        stage = self.point.partition("/")[2]
        if stage in OLD:
            assert self.machine.state == self.before
        elif stage in ("renamed", "directory-synced"):
            assert self.machine.state != self.before


@dataclass(frozen=True)
class Chapter:
    """Something that happens to a terminal: how it begins, one round of it, and when it is over."""

    begin: Callable[[Machine, KeyedServer], object]
    round: Callable[[Machine, KeyedServer], object]
    over: Callable[[Machine, KeyedServer], bool]
    is_paired: bool = True


def step(machine: Machine, _server: KeyedServer) -> None:
    machine.client.step()


def said(server: KeyedServer, status: str = "applied") -> list[str]:
    return [claims["cid"] for claims in server.receipts.values() if claims["st"] == status]


def pair(machine: Machine, server: KeyedServer) -> None:
    if machine.state.status == "new":
        machine.client.enroll(server.origin, server.code)
    machine.client.step()


def pair_again(machine: Machine, server: KeyedServer) -> None:
    if not machine.state.pairing and server.nonce == "first":
        server.nonce = jose.b64u(bytes(16))
        machine.client.enroll(server.origin, server.code)
    machine.client.step()


def begin_pairing_again(machine: Machine, server: KeyedServer) -> None:
    receive_silently(machine, server)
    server.nonce = "first"


def receive_silently(machine: Machine, server: KeyedServer) -> None:
    """A receipt waits that the server has not seen."""
    server.issue(op="03", password="482917")
    assert machine.till.receive(server.tokens[0]).st == "applied"


def sign_on_when_reset(machine: Machine, server: KeyedServer) -> None:
    machine.client.step()
    machine.till.sign_on("03", "482917")
    machine.client.step()


def choose(machine: Machine, server: KeyedServer) -> None:
    machine.client.step()
    machine.till.choose("03", "735928")
    machine.till.sign_on("03", "735928")
    machine.client.step()


def begin_roll(machine: Machine, server: KeyedServer) -> None:
    receive_silently(machine, server)
    machine.till.alter(roll_wanted="both")
    server.issue("unlock", op="01")


def publish_three(machine: Machine, server: KeyedServer) -> None:
    next_root = jose.public_jwk(world.STRANGER)
    keys = [entry(world.ISSUER, "unlock")]
    server.publish(3, keys=keys, roots=[jose.public_jwk(world.ROOT), next_root])
    server.publish(4, keys=keys, root=world.STRANGER, roots=[next_root])


def answer_the_question(machine: Machine, server: KeyedServer) -> None:
    till, now = machine.till, machine.till.present()
    if not till.offline.granted("03", now):
        question, _ = till.offline.begin("03", now)
        if not question:
            return
        counter, session = machine.state.offline_counter, ocra.session_of(server.tid, "03")
        assert (
            till.offline.answer("03", ocra.response(server.offline_key, counter, question, session), now)
            == "ok"
        )
    till.offline.change("03", "482917", now)
    machine.client.step()


def order_during_a_sale(machine: Machine, server: KeyedServer) -> None:
    machine.till.set_busy(True)
    server.issue(op="03", password="482917")


def withdraw(machine: Machine, server: KeyedServer) -> None:
    machine.client.step()
    if machine.state.busy and said(server, "deferred"):
        ref = said(server, "deferred")[0]
        if not any("void" in line for line in machine.said):
            server.tokens.clear()
            server.issue("void", args={"ref": ref})
            machine.said.append("void")


def phone_in_hand(machine: Machine, server: KeyedServer) -> None:
    machine.client.step()
    server.end_recoveries("done")


CHAPTERS = {
    "pairing": Chapter(
        begin=lambda machine, server: machine.set_up("03"),
        round=pair,
        over=lambda machine, server: server.active and machine.state.status == "active",
        is_paired=False,
    ),
    "pairing again": Chapter(
        begin=begin_pairing_again,
        round=pair_again,
        over=lambda machine, server: (
            not machine.state.pairing
            and bool(said(server))
            and server.sign_key["x"] == machine.state.sign_key["x"]
        ),
    ),
    "a reset and the sign-on after it": Chapter(
        begin=lambda machine, server: server.issue(op="03", password="482917"),
        round=sign_on_when_reset,
        over=lambda machine, server: bool(said(server) and said(server, "signed_on")),
    ),
    "a password chosen at the machine": Chapter(
        begin=lambda machine, server: server.issue(op="03", args={"choose": True}),
        round=choose,
        over=lambda machine, server: bool(said(server) and said(server, "signed_on")),
    ),
    "a key roll with a receipt still to be sent": Chapter(
        begin=begin_roll,
        round=step,
        over=lambda machine, server: server.rolling is None and len(said(server)) == 2,
    ),
    "a walk over a change of roots": Chapter(
        begin=publish_three,
        round=step,
        over=lambda machine, server: machine.state.keyset["ver"] == 4,
    ),
    "a restart": Chapter(
        begin=lambda machine, server: server.issue("reboot"),
        round=step,
        over=lambda machine, server: bool(said(server)),
    ),
    "a factory reset": Chapter(
        begin=lambda machine, server: issue_reset(server),
        round=step,
        over=lambda machine, server: bool(said(server)) and machine.state == wiped(machine.state),
    ),
    "a recovery from the machine": Chapter(
        begin=lambda machine, server: machine.till.forgot("03"),
        round=phone_in_hand,
        over=lambda machine, server: bool(machine.state.asking and machine.state.asking.state == "done"),
    ),
    "an unlock without a network": Chapter(
        begin=lambda machine, server: None,
        round=answer_the_question,
        over=lambda machine, server: any(claims["sub"] == "offline" for claims in server.receipts.values()),
    ),
    "a withdrawal of what waits": Chapter(
        begin=order_during_a_sale,
        round=withdraw,
        over=lambda machine, server: bool(said(server)),
    ),
}  # fmt: skip


def wiped(state: State) -> State:
    """A machine with nothing on it but what it is."""
    kept = ("profile", "boots", "time_floor", "journal_n", "journal", "network", "battery", "charging")
    return State(**{name: getattr(state, name) for name in kept})


def begin_anew(server: KeyedServer) -> None:
    """Another server at the same address."""
    origin = server.origin
    server.__init__()  # type: ignore[misc]
    server.origin = origin


def lived(chapter: Chapter, directory: Path, server: KeyedServer, point: str = "", passes: int = 1) -> Fuse:
    """Live through a chapter; at the point the power goes, comes back, and life goes on."""
    begin_anew(server)
    machine = paired(directory, server) if chapter.is_paired else Machine(directory)
    chapter.begin(machine, server)
    fuse = Fuse(machine, point, passes)
    failpoints.hook = fuse
    try:
        for _ in range(ROUNDS):
            try:
                chapter.round(machine, server)
            except PowerCut:
                failpoints.hook = None
                fuse.check_that_the_state_is_whole()
                failpoints.hook = fuse
                machine.power_off()
                machine.power_up()
            if chapter.over(machine, server):
                break
    finally:
        failpoints.hook = None
        machine.power_off()
    assert chapter.over(machine, server)
    check_what_is_always_true(machine, server)
    return fuse


def check_what_is_always_true(machine: Machine, server: KeyedServer) -> None:
    """Every fact is told once, byte for byte; the journal tells the same story as the receipts."""
    assert all(len(copies) == 1 for copies in server.receipt_bytes.values())
    told = Counter((claims.get("cid"), claims["st"]) for claims in server.receipts.values())
    assert all(count == 1 for (cid, st), count in told.items() if cid and st != "deferred")
    journal = machine.till.store.journal()
    assert [line["n"] for line in journal] == list(range(1, len(journal) + 1))
    carried_out = Counter(line["cid"] for line in journal if line["event"] in ("applied", "begun"))
    assert all(count == 1 for count in carried_out.values())


@pytest.fixture(scope="module")
def server() -> Iterator[KeyedServer]:
    with serving(KeyedServer()) as running:
        yield running


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process lives on, so what it wrote is there whether or not the disk has it."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("name", CHAPTERS)
def test_wherever_the_power_goes_the_story_ends_the_same(
    tmp_path: Path, server: KeyedServer, name: str
) -> None:
    chapter = CHAPTERS[name]
    passed = Counter(lived(chapter, tmp_path / "whole", server).seen)
    cuts = [(point, nth) for point, times in passed.items() for nth in range(1, min(times, 2) + 1)]
    assert len(cuts) >= 10
    for number, (point, nth) in enumerate(cuts):
        fuse = lived(chapter, tmp_path / str(number), server, point, nth)
        assert fuse.left <= 0, f"{point} was not reached again"


@pytest.mark.usefixtures("quick_disk")
def test_the_chapters_together_pass_every_point_there_is(tmp_path: Path, server: KeyedServer) -> None:
    seen: set[str] = set()
    for number, chapter in enumerate(CHAPTERS.values()):
        seen.update(lived(chapter, tmp_path / str(number), server).seen)
    assert len(seen & set(POINTS)) >= 40
    assert {f"{send}/{moment}" for send in SENDS for moment in ("not-yet-sent", "sent")} <= seen
    assert {f"{commit}/{stage}" for commit in COMMITS for stage in STAGES[:6]} <= seen


def run(arguments: list[str], point: str = "") -> subprocess.CompletedProcess[str]:
    """A process of its own that dies at this point."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: point}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "point", ["receive/temp-half-written", "receive/journal-half-written", "receipts/sent"]
)
def test_a_real_process_that_is_killed_there_is_no_worse(tmp_path: Path, point: str) -> None:
    with serving(KeyedServer()) as fresh:
        arguments = ["-m", "terminals.simulator", "run", "--state", str(tmp_path), "--url", fresh.origin]
        arguments += [
            "--once",
            "--interval-cap",
            "0.1",
            "--pairing-code",
            fresh.code,
            "--operator",
            "03=2846",
        ]
        assert run(arguments).returncode == 0
        cid = fresh.issue(op="03", password="482917")
        assert run(arguments, point).returncode == -signal.SIGKILL
        assert run(arguments).returncode == 0
        assert fresh.outcome(cid) == ["applied"]
        journal = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
        assert [line["event"] for line in journal] == ["applied"]


def test_two_power_cuts_in_a_row_are_no_worse(tmp_path: Path, server: KeyedServer) -> None:
    begin_anew(server)
    machine = paired(tmp_path, server)
    cid = server.issue(op="03", password="482917")
    for point in ("receive/renamed", "receive/journal-half-written", "settle/temp-written", "boot/renamed"):
        failpoints.hook = Fuse(machine, point)
        try:
            machine.till.power.boot(0)
            machine.client.step()
        except PowerCut:
            machine.power_off()
            machine.power_up()
        finally:
            failpoints.hook = None
    machine.client.step()
    machine.power_off()
    assert server.outcome(cid) == ["applied"]
    assert [line["event"] for line in machine.till.store.journal()] == ["applied"]


def test_two_processes_on_one_memory_lose_nothing(tmp_path: Path) -> None:
    till = enrolled(tmp_path)
    script = (
        "import sys; from pathlib import Path; from terminals.simulator.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for _ in range(100):\n"
        "    with store.transaction() as state: state.hwm += 1; state.note('step', 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    racers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment) for _ in range(3)
    ]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0]
    assert till.store.load().hwm == HWM + 300
    assert [entry["n"] for entry in till.store.journal()] == list(range(1, 301))


def test_it_runs_without_the_web_framework() -> None:
    script = "import sys, terminals.simulator.cli; sys.exit('django' in sys.modules)"
    assert run(["-c", script]).returncode == 0


def test_what_was_stored_is_what_is_read(tmp_path: Path) -> None:
    till = enrolled(tmp_path)
    with till.store.transaction() as state:
        assert state == till.store.load()
