"""What a command does to a machine, and what the machine says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from terminals import jose
from terminals.protocol import TYP_COMMAND
from terminals.simulator.screen import LANGUAGES, render
from terminals.simulator.till import Till
from tests.terminals.tills import PASSWORDS, enrolled, receipts
from tests.vectors import world
from tests.vectors.world import HWM, ISSUER, T0


@pytest.fixture
def till(tmp_path: Path) -> Till:
    return enrolled(tmp_path)


def issue(seq: int = HWM + 1, **changes: Any) -> str:
    """A good token with its own ids."""
    changes = {"jti": f"tok_{seq:016d}", "cid": f"cmd_{seq:016d}", "seq": seq, **changes}
    if "sealed" not in changes:
        op, password = changes.get("op", "03"), changes.pop("password", "482917")
        more = {"change_at_next_login": changes.pop("must_change", False)}
        changes["sealed"] = world.sealed(changes["cid"], op=op, password=password, **more)
    return jose.sign(world.command(**changes), TYP_COMMAND, ISSUER)


def statuses(till: Till) -> list[str]:
    return [" ".join(filter(None, (claims["st"], claims.get("rc")))) for claims in receipts(till)]


class TestSetCredential:
    def test_the_new_password_is_accepted_and_the_old_one_refused(self, till: Till) -> None:
        assert till.receive(issue()).st == "applied"
        assert till.sign_on("03", PASSWORDS["03"]).reason == "wrong"
        assert till.sign_on("03", "482917").accepted
        assert till.sign_on("01", PASSWORDS["01"]).accepted

    def test_the_receipt_says_what_was_done_with_which_token(self, till: Till) -> None:
        token = issue()
        till.receive(token)
        (claims,) = receipts(till)
        assert claims["tok"] == jose.digest(token)
        assert (claims["iss"], claims["aud"]) == (world.TID, world.AUDIENCE)
        assert (claims["st"], claims["seq"], claims["hwm"], claims["at"]) == ("applied", HWM + 1, HWM + 1, T0)

    def test_only_the_first_sign_on_after_it_is_reported(self, till: Till) -> None:
        till.receive(issue())
        for _ in range(3):
            till.sign_on("03", "482917")
        assert statuses(till) == ["applied", "signed_on"]

    def test_a_sign_on_without_a_reset_is_nobodys_business(self, till: Till) -> None:
        assert till.sign_on("03", PASSWORDS["03"]).accepted
        assert statuses(till) == []

    def test_the_same_token_again_gets_the_same_receipt_and_changes_nothing(self, till: Till) -> None:
        token = issue()
        till.receive(token)
        first = till.store.load().outbox[0]
        with till.store.transaction() as state:
            state.outbox = []
        assert till.receive(token).st == "repeated"
        assert till.receive(token).st == "repeated"
        assert [item.receipt for item in till.store.load().outbox] == [first.receipt]
        assert len(till.store.load().operators["03"].hashes) == 2

    def test_a_command_issued_again_is_reported_again_but_not_applied_again(self, till: Till) -> None:
        cid = "cmd_" + "E" * 16
        till.receive(issue(HWM + 1, cid=cid))
        again = issue(HWM + 2, cid=cid)
        assert till.receive(again).st == "applied"
        assert [claims["tok"] for claims in receipts(till)][-1] == jose.digest(again)
        assert len(till.store.load().operators["03"].hashes) == 2
        till.sign_on("03", "482917")
        assert receipts(till)[-1]["tok"] == jose.digest(again)

    def test_a_gap_in_the_sequence_is_no_obstacle(self, till: Till) -> None:
        assert till.receive(issue(HWM + 5)).st == "applied"
        assert till.receive(issue(HWM + 9, password="735928")).st == "applied"

    def test_an_old_token_cannot_bring_an_old_password_back(self, till: Till) -> None:
        old = issue(HWM + 1, password="735928")
        till.receive(issue(HWM + 2))
        assert till.receive(old).rc == "seq_replayed"
        assert till.sign_on("03", "482917").accepted

    @pytest.mark.parametrize(
        "password", ["123", "4829175", "48291a", "0000", PASSWORDS["03"], PASSWORDS["05"], "４８２９１７"]
    )
    def test_a_password_the_machine_does_not_take_is_refused(self, till: Till, password: str) -> None:
        assert till.receive(issue(password=password)).rc == "policy_rejected"
        assert till.sign_on("03", PASSWORDS["03"]).accepted
        assert till.receive(issue(password=password)).st == "repeated"

    def test_the_last_four_passwords_may_not_return(self, till: Till) -> None:
        for step, password in enumerate(("735928", "648205", "918364", "275093")):
            assert till.receive(issue(HWM + 1 + step, password=password)).st == "applied"
        assert till.receive(issue(HWM + 5, password="735928")).rc == "policy_rejected"
        assert till.receive(issue(HWM + 6, password=PASSWORDS["03"])).st == "applied"

    def test_each_role_has_its_own_length(self, till: Till) -> None:
        assert till.receive(issue(HWM + 1, op="00", password="4829")).rc == "policy_rejected"
        assert till.receive(issue(HWM + 2, op="99", password="48291735")).st == "applied"

    def test_it_unlocks_and_may_demand_a_change(self, till: Till) -> None:
        for _ in range(5):
            answer = till.sign_on("03", "9999")
        assert answer.reason == "locked"
        assert till.sign_on("03", PASSWORDS["03"]).reason == "locked"
        till.receive(issue(must_change=True))
        assert till.sign_on("03", "482917").must_change
        assert till.change("03", "482917", "482917") == ["history"]
        assert till.change("03", "wrong", "735928") == ["wrong"]
        assert till.change("03", "482917", "735928") == []
        assert not till.sign_on("03", "735928").must_change

    def test_the_newest_of_two_commands_wins_whatever_the_order_of_seq_and_batch(self, till: Till) -> None:
        till.receive(issue(HWM + 1, password="735928"))
        till.receive(issue(HWM + 2, password="648205"))
        assert till.sign_on("03", "648205").accepted


class TestChoosing:
    def choose(self, **changes: Any) -> str:
        return issue(args={"choose": True}, sealed=None, **changes)

    def test_the_operator_chooses_at_the_machine(self, till: Till) -> None:
        assert till.receive(self.choose()).st == "applied"
        assert till.choose("03", "0000") == ["factory_default", "repeated"]
        assert till.choose("03", "1234") == ["run"]
        assert till.choose("03", PASSWORDS["01"]) == ["shared"]
        assert till.choose("03", "482917") == []
        assert till.choose("03", "735928") == ["closed"]
        assert till.sign_on("03", "482917").accepted
        assert statuses(till) == ["applied", "signed_on"]

    def test_the_screen_closes_after_fifteen_minutes(self, till: Till) -> None:
        till.receive(self.choose())
        till.clock.now = T0 + 901  # type: ignore[attr-defined]
        assert till.choose("03", "482917") == ["closed"]
        assert till.sign_on("03", PASSWORDS["03"]).accepted
        assert statuses(till) == ["applied"]

    def test_a_withdrawal_closes_the_screen(self, till: Till) -> None:
        till.receive(self.choose())
        ref = f"cmd_{HWM + 1:016d}"
        assert (
            till.receive(issue(HWM + 2, cmd="void", op=None, args={"ref": ref}, sealed=None)).st == "applied"
        )
        assert till.choose("03", "482917") == ["closed"]

    def test_nobody_else_can_use_it(self, till: Till) -> None:
        till.receive(self.choose())
        assert till.choose("01", "482917") == ["closed"]
        assert till.choose("55", "482917") == ["closed"]


class TestOtherCommands:
    def test_an_operator_is_locked_and_unlocked(self, till: Till) -> None:
        till.receive(issue(HWM + 1, cmd="lock", sealed=None))
        assert till.sign_on("03", PASSWORDS["03"]).reason == "locked"
        assert till.sign_on("01", PASSWORDS["01"]).accepted
        till.receive(issue(HWM + 2, cmd="unlock", sealed=None))
        assert till.sign_on("03", PASSWORDS["03"]).accepted

    def test_a_machine_is_locked_and_unlocked(self, till: Till) -> None:
        till.receive(issue(HWM + 1, cmd="lock", op=None, sealed=None))
        assert till.sign_on("01", PASSWORDS["01"]).reason == "locked"
        till.receive(issue(HWM + 2, cmd="unlock", op=None, sealed=None))
        assert till.sign_on("01", PASSWORDS["01"]).accepted

    def test_a_message_is_shown(self, till: Till) -> None:
        till.receive(issue(cmd="message", op=None, args={"text": "客服 400-000-0000"}, sealed=None))
        assert "客服 400-000-0000" in render(till.store.load(), T0, "zh")

    def test_during_a_sale_commands_wait(self, till: Till) -> None:
        token = issue()
        till.set_busy(True)
        assert till.receive(token).st == "deferred"
        assert till.receive(token).st == "deferred"
        assert statuses(till) == ["deferred busy"]
        assert till.store.load().hwm == HWM
        assert till.sign_on("03", PASSWORDS["03"]).accepted
        till.set_busy(False)
        assert till.receive(token).st == "applied"
        assert statuses(till) == ["applied"]

    def test_a_deferred_command_that_expires_is_finished(self, till: Till) -> None:
        token = issue(exp=T0 + 60)
        till.set_busy(True)
        till.receive(token)
        till.clock.now = T0 + 181  # type: ignore[attr-defined]
        assert till.receive(token).rc == "expired"
        assert statuses(till) == ["rejected expired"]
        assert till.store.load().hwm == HWM + 1

    def test_an_unknown_operator_cannot_sign_on(self, till: Till) -> None:
        assert till.sign_on("42", "0000").reason == "unknown"

    def test_the_done_ring_keeps_the_last_thirty_two(self, till: Till) -> None:
        for step in range(40):
            till.receive(issue(HWM + 1 + step, cmd="unlock", sealed=None))
        done = till.store.load().done
        assert len(done) == 32
        assert done[-1].jti == f"tok_{HWM + 40:016d}"


class TestMemory:
    def test_nothing_readable_holds_a_password(self, till: Till) -> None:
        till.receive(issue())
        till.sign_on("03", "482917")
        for path in till.store.directory.iterdir():
            text = path.read_text("utf-8")
            assert all(f'"{password}"' not in text for password in (*PASSWORDS.values(), "482917"))

    def test_only_the_owner_may_read_it(self, till: Till) -> None:
        till.receive(issue())
        assert {path.stat().st_mode & 0o077 for path in till.store.directory.iterdir()} == {0}

    def test_the_journal_tells_the_story(self, till: Till) -> None:
        till.receive(issue())
        till.receive("junk")
        till.sign_on("03", "482917")
        journal = till.store.journal()
        assert [entry["event"] for entry in journal] == ["applied", "rejected", "signed_on"]
        assert [entry["n"] for entry in journal] == [1, 2, 3]

    def test_a_torn_last_line_of_the_journal_is_written_again(self, till: Till) -> None:
        till.receive(issue())
        path = till.store.directory / "journal.jsonl"
        path.write_bytes(path.read_bytes()[:-5])
        assert [entry["n"] for entry in till.store.journal()] == [1]

    def test_a_block_that_fails_changes_nothing(self, till: Till) -> None:
        with pytest.raises(ZeroDivisionError), till.store.transaction() as state:
            state.hwm = 10**6 // 0
        assert till.store.load().hwm == HWM

    def test_weak_passwords_are_known_at_the_machine(self, till: Till) -> None:
        till.seed("07", "0000", "甲")
        till.seed("08", "7890", "乙")
        till.seed("09", PASSWORDS["01"], "丙")
        till.seed("09", "8426", "丁")
        operators = till.store.load().operators
        assert [operators[number].weak for number in ("07", "08", "09", "01")] == [
            "default", "common", "shared", None,
        ]  # fmt: skip


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_screen_shows_operators_and_what_they_should_do(till: Till, lang: str) -> None:
    before = render(till.store.load(), T0, lang)
    till.receive(issue())
    after = render(till.store.load(), T0, lang)
    assert "王芳" in before
    assert len(after) > 0 and after != before
    assert "482917" not in after
