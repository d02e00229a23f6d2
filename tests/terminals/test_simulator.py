"""A terminal in software against a server, over real HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminals import jose, pairing
from terminals.conformance.memory import Reply, problem
from terminals.conformance.server import serving
from terminals.simulator.cli import main
from terminals.simulator.client import Client, EnrollmentFailed, Pace
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from terminals.simulator.transport import Clock, Connection, Problem, Unreachable
from tests.terminals.machines import KeyedServer, entry
from tests.terminals.tills import CHEAP
from tests.vectors import world

ROOT = Path(__file__).parents[2]


class Machine:
    """A till, its client and what it said."""

    def __init__(self, directory: Path) -> None:
        self.said: list[str] = []
        self.clock = Clock()
        self.till = Till(Store(directory), clock=self.clock, hasher=CHEAP)
        self.client = Client(self.till, self.clock, interval_cap=0.1, say=self.said.append)
        self.till.seed("03", "2846", "王芳")
        self.till.seed("01", "5913", "陈静")

    @property
    def status(self) -> str:
        return self.till.store.load().status


@pytest.fixture
def server() -> Iterator[KeyedServer]:
    with serving(KeyedServer()) as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "till")
    yield machine
    machine.client.close()


@pytest.fixture
def paired(machine: Machine, server: KeyedServer) -> Machine:
    machine.client.enroll(server.origin, server.code)
    return machine


class TestEnrollment:
    def test_a_typed_code_pairs_and_both_keys_are_proved(self, machine: Machine, server: KeyedServer) -> None:
        machine.client.enroll(server.origin, server.code)
        assert machine.status == "active"
        assert server.active
        assert any("trusted on first use" in line for line in machine.said)

    def test_a_scanned_code_pins_the_root(self, machine: Machine, server: KeyedServer) -> None:
        qr = pairing.QrText(server.origin, server.code, jose.thumbprint(world.ROOT))
        machine.client.enroll("http://127.0.0.1:1", str(qr))
        assert machine.status == "active"
        assert not any("trusted on first use" in line for line in machine.said)

    def test_another_root_than_the_scanned_one_is_refused(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        qr = pairing.QrText(server.origin, server.code, jose.thumbprint(world.STRANGER))
        with pytest.raises(EnrollmentFailed):
            machine.client.enroll(server.origin, str(qr))
        assert machine.status == "new"

    def test_a_wrong_code_leaves_the_machine_as_it_was(self, machine: Machine, server: KeyedServer) -> None:
        with pytest.raises(Problem, match="pairing_failed"):
            machine.client.enroll(server.origin, "BCD-FGH-JKX")
        assert machine.status == "new"

    def test_a_machine_whose_clock_is_years_off_can_be_paired(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.clock_offset = 5 * 365 * 86_400
        machine.client.enroll(server.origin, server.code)
        assert machine.status == "active"
        assert "clock corrected" in machine.said

    def test_a_lost_confirmation_is_repeated(self, machine: Machine, server: KeyedServer) -> None:
        server.interrupt("enroll/confirm", problem("unavailable"))
        with pytest.raises(Problem):
            machine.client.enroll(server.origin, server.code)
        assert machine.status == "unconfirmed"
        machine.client.step()
        assert machine.status == "active"

    def test_pairing_again_starts_the_sequence_anew(self, paired: Machine, server: KeyedServer) -> None:
        server.issue("unlock", op="03")
        paired.client.step()
        old = server.sign_key
        server.tokens, server.seq = [], 0
        paired.client.enroll(server.origin, server.code)
        assert server.sign_key != old
        cid = server.issue("unlock", op="03")
        paired.client.step()
        assert server.outcome(cid) == ["applied"]


class TestPolling:
    def test_a_reset_is_fetched_applied_and_reported(self, paired: Machine, server: KeyedServer) -> None:
        cid = server.issue(op="03", password="482917")
        paired.client.step()
        assert server.outcome(cid) == ["applied"]
        assert not paired.till.sign_on("03", "2846").accepted
        assert paired.till.sign_on("03", "482917").accepted
        paired.client.step()
        assert server.outcome(cid) == ["applied", "signed_on"]
        assert paired.till.store.load().outbox == []

    def test_what_it_says_of_itself_is_in_the_header_and_the_inventory(
        self, paired: Machine, server: KeyedServer
    ) -> None:
        paired.client.step()
        headers = server.asked("commands")[0].headers
        assert "ks=1" in headers["rekey-telemetry"]
        operators = server.inventory["inventory"]["operators"]
        assert [operator["op"] for operator in operators] == ["01", "03"]

    def test_an_unchanged_inventory_is_not_sent_again(self, paired: Machine, server: KeyedServer) -> None:
        for _ in range(3):
            paired.client.step()
        assert len(server.asked("inventory")) == 1

    def test_an_unchanged_queue_is_not_downloaded_again(self, paired: Machine, server: KeyedServer) -> None:
        server.issue("format_disk")
        server.verdicts.extend(["invalid"] * 9)
        paired.client.step()
        paired.client.step()
        polls = [poll.headers for poll in server.asked("commands")]
        assert "if-none-match" in polls[-1]

    def test_a_long_queue_is_fetched_in_order_at_once(self, paired: Machine, server: KeyedServer) -> None:
        issued = [server.issue("unlock", op="03") for _ in range(10)]
        while paired.client.step() == 0:
            pass
        assert [server.outcome(cid) for cid in issued] == [["applied"]] * 10

    def test_a_bad_token_does_not_block_the_others(self, paired: Machine, server: KeyedServer) -> None:
        server.issue("unlock", op="03", key=world.STRANGER)
        good = server.issue("unlock", op="03")
        paired.client.step()
        assert server.outcome(good) == ["applied"]
        assert any(claims.get("rc") == "unknown_key" for claims in server.receipts.values())
        assert server.tokens == []

    def test_a_deferred_command_is_asked_for_again(self, paired: Machine, server: KeyedServer) -> None:
        paired.till.set_busy(True)
        cid = server.issue(op="03", password="482917")
        later = server.issue("unlock", op="01")
        paired.client.step()
        paired.client.step()
        assert set(server.outcome(cid)) == {"deferred busy"}
        assert server.outcome(later) == []
        paired.till.set_busy(False)
        paired.client.step()
        assert server.outcome(cid)[-1] == "applied"
        assert server.outcome(later) == ["applied"]

    def test_a_new_issuer_key_is_learned_from_the_next_keyset(
        self, paired: Machine, server: KeyedServer
    ) -> None:
        server.publish(2, keys=[entry(world.STRANGER, "unlock")])
        cid = server.issue("unlock", op="03", key=world.STRANGER)
        paired.client.step()
        assert server.outcome(cid) == ["applied"]
        assert paired.till.store.load().keyset["ver"] == 2

    def test_a_keyset_of_another_root_is_not_followed(self, paired: Machine, server: KeyedServer) -> None:
        server.publish(2, root=world.STRANGER)
        assert paired.client.walk_keysets() == 0
        assert paired.till.store.load().keyset["ver"] == 1


class TestTrouble:
    def test_a_wrong_clock_is_corrected_in_memory_and_the_request_repeated(
        self, paired: Machine, server: KeyedServer
    ) -> None:
        server.clock_offset = 3 * 3600
        cid = server.issue("unlock", op="03")
        paired.client.step()
        assert "clock corrected" in paired.said
        assert server.outcome(cid) == ["applied"]

    def test_receipts_survive_an_outage_and_are_resent_byte_for_byte(
        self, paired: Machine, server: KeyedServer
    ) -> None:
        cid = server.issue(op="03", password="482917")
        server.verdicts.append("invalid")
        paired.client.step()
        assert len(paired.till.store.load().outbox) == 1
        paired.client.step()
        assert server.outcome(cid) == ["applied"]
        assert [len(copies) for copies in server.receipt_bytes.values()] == [1]
        assert paired.till.store.load().outbox == []

    def test_a_receipt_that_is_always_refused_is_given_up(self, paired: Machine, server: KeyedServer) -> None:
        server.issue("unlock", op="03")
        server.verdicts.extend(["invalid"] * 9)
        paired.client.step()
        server.tokens = []
        assert len(paired.till.store.load().outbox) == 1
        for _ in range(3):
            paired.client.step()
        assert paired.till.store.load().outbox == []

    @pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
    def test_no_answer_makes_it_forget_anything(
        self, paired: Machine, server: KeyedServer, status: int
    ) -> None:
        before = paired.till.store.load()
        refusal = Reply(status, {"code": "unavailable"}, {"Retry-After": "1"})
        server.answer = lambda request: refusal  # type: ignore[method-assign]
        for _ in range(5):
            assert paired.client.step() >= 1
        assert paired.till.store.load() == before
        del server.answer
        cid = server.issue("unlock", op="03")
        paired.client.step()
        assert server.outcome(cid) == ["applied"]

    def test_without_a_server_it_waits_longer_and_longer_but_not_for_ever(self, paired: Machine) -> None:
        with paired.till.store.transaction() as state:
            state.origin = "http://127.0.0.1:1"
        client = Client(paired.till, paired.clock)
        pauses = [client.step() for _ in range(40)]
        client.close()
        assert max(pauses) <= 900
        assert sum(pauses[10:]) > sum(pauses[:3])

    def test_a_peer_that_never_answers_does_not_hang_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("terminals.simulator.transport._TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreachable):
            Connection().exchange(f"http://127.0.0.1:{silent.getsockname()[1]}", "GET", "commands")

    @pytest.mark.parametrize(
        "answer", [b"\x00" * 50, b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 302 Found\r\n\r\n", b""]
    )
    def test_nonsense_on_the_line_is_only_trouble(
        self, paired: Machine, server: KeyedServer, answer: bytes
    ) -> None:
        server.answer = lambda request: Reply(200, answer.decode("latin-1"))  # type: ignore[method-assign]
        before = paired.till.store.load()
        paired.client.step()
        assert paired.till.store.load() == before

    def test_the_pace_of_the_server_is_kept_within_bounds(self) -> None:
        pace = Pace()
        pace.obey("interval=0, jitter=-5, wait=999")
        assert (pace.interval, pace.jitter, pace.wait) == (3, 0, 55)
        pace.obey("complete nonsense;;;")
        assert pace.interval == 3
        pace.obey("interval=300, fast_until=100")
        assert pace.pause(99, 3600) == 3
        assert pace.pause(101, 3600) == 300
        assert pace.pause(101, 2) == 2


class TestCommandLine:
    def test_sign_on_says_by_its_exit_code_whether_it_was_accepted(
        self, paired: Machine, capsys: pytest.CaptureFixture[str]
    ) -> None:
        state = str(paired.till.store.directory)
        paired.till.seed("05", "8065", "刘洋")
        assert main(["signon", "--state", state, "05", "8065"]) == 0
        assert main(["signon", "--state", state, "--lang", "en", "05", "9999"]) == 1
        assert capsys.readouterr().out.splitlines() == ["登录成功", "Wrong password"]

    def test_screen_busy_and_choose_have_doors(self, paired: Machine, server: KeyedServer) -> None:
        state = str(paired.till.store.directory)
        assert main(["busy", "--state", state, "on"]) == 0
        assert paired.till.store.load().busy
        assert main(["busy", "--state", state, "off"]) == 0
        assert main(["screen", "--state", state]) == 0
        assert main(["choose", "--state", state, "03", "735928"]) == 1
        server.issue(op="03", args={"choose": True})
        paired.client.step()
        assert main(["choose", "--state", state, "03", "735928"]) == 0
        assert main(["signon", "--state", state, "03", "735928"]) == 0

    def test_a_running_terminal_reports_a_sign_on_of_another_process_and_stops_when_told(
        self, server: KeyedServer, tmp_path: Path
    ) -> None:
        arguments = [sys.executable, "-m", "terminals.simulator", "run", "--state", str(tmp_path / "till")]
        arguments += ["--url", server.origin, "--pairing-code", server.code, "--interval-cap", "0.2"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [*arguments, "--operator", "03=2846:王芳"],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            wait_for(lambda: server.inventory != {})
            cid = server.issue(op="03", password="482917")
            wait_for(lambda: server.outcome(cid) == ["applied"])
            assert main(["signon", "--state", str(tmp_path / "till"), "03", "2846"]) == 1
            assert main(["signon", "--state", str(tmp_path / "till"), "03", "482917"]) == 0
            wait_for(lambda: server.outcome(cid) == ["applied", "signed_on"])
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "applied set_credential 03" in output.splitlines()
        assert "482917" not in output and "2846" not in output


def wait_for(condition: object, limit: float = 20.0) -> None:
    """Wait until the condition holds."""
    assert callable(condition)
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
