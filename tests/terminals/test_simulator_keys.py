"""Keys of a terminal that roll, pairing again, and keysets that follow each other."""

from __future__ import annotations

import pytest

from terminals import jose
from terminals.conformance.memory import problem
from tests.terminals.machines import KeyedServer, Machine, entry
from tests.terminals.tills import PASSWORDS
from tests.vectors import world


def kid(machine: Machine) -> str:
    return jose.kid16(machine.state.sign_key)


class TestKeyRoll:
    def test_a_new_key_takes_over_and_numbers_start_again(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        old, opening = kid(machine), machine.state.open_key
        server.issue("unlock", op="03")
        machine.client.step()
        machine.till.alter(roll_wanted="sign")
        machine.client.step()
        assert kid(machine) == jose.kid16(server.sign_key) != old
        assert (machine.state.hwm, machine.state.open_key, machine.state.rolling) == (0, opening, None)
        cid = server.issue(op="03", password="482917")
        machine.client.step()
        assert server.outcome(cid) == ["applied"]
        assert machine.state.hwm == 1

    def test_the_opening_key_can_roll_along(self, machine: Machine, server: KeyedServer) -> None:
        opening = machine.state.open_key
        machine.till.alter(roll_wanted="both")
        machine.client.step()
        assert machine.state.open_key != opening
        cid = server.issue(op="03", password="482917")
        machine.client.step()
        assert server.outcome(cid) == ["applied"]

    def test_a_lost_reply_is_repeated_with_the_same_bytes(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.lose = ["keys/roll"] * 2
        old = kid(machine)
        machine.till.alter(roll_wanted="sign")
        machine.client.step()
        assert kid(machine) == old
        machine.client.step()
        bodies = [request.body for request in server.asked("keys/roll")]
        assert len(bodies) == 3 and len(set(bodies)) == 1
        assert kid(machine) == jose.kid16(server.sign_key) != old

    def test_a_request_that_has_become_old_is_signed_again_for_the_same_keys(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.lose = ["keys/roll"] * 2
        machine.till.alter(roll_wanted="sign")
        machine.client.step()
        before = machine.state.rolling
        machine.later(400)
        server.clock_offset = 400
        server.lose = ["keys/roll"] * 2
        machine.client.step()
        after = machine.state.rolling
        assert before and after
        assert after.sign_key == before.sign_key and after.request != before.request

    def test_a_reply_lost_after_the_new_key_took_over_is_noticed_by_trying_it(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        machine.till.alter(roll_wanted="sign")
        server.lose = ["commands"] * 2
        machine.client.step()
        assert kid(machine) != jose.kid16(server.sign_key)
        machine.till.sign_on("03", PASSWORDS["03"])
        machine.client.step()
        assert kid(machine) == jose.kid16(server.sign_key)

    def test_until_the_new_key_works_the_old_one_does(self, machine: Machine, server: KeyedServer) -> None:
        old = kid(machine)
        server.closed["keys/roll"] = problem("unavailable")
        machine.till.alter(roll_wanted="sign")
        machine.client.step()
        assert kid(machine) == old and machine.state.rolling is not None
        del server.closed["keys/roll"]
        machine.client.step()
        assert kid(machine) != old

    @pytest.mark.parametrize("code", ["key_in_use", "malformed", "not_found"])
    def test_a_refused_roll_leaves_the_old_key_in_force(
        self, machine: Machine, server: KeyedServer, code: str
    ) -> None:
        old = kid(machine)
        server.closed["keys/roll"] = problem(code)
        machine.till.alter(roll_wanted="sign")
        machine.client.step()
        assert kid(machine) == old and machine.state.rolling is None
        cid = server.issue("unlock", op="03")
        machine.client.step()
        assert server.outcome(cid) == ["applied"]

    def test_what_was_said_but_not_heard_is_said_again_by_the_new_key(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        cid = server.issue(op="03", password="482917")
        assert machine.till.receive(server.tokens[0]).st == "applied"
        machine.till.alter(roll_wanted="sign")
        server.lose = ["commands"] * 2
        machine.client.step()
        machine.till.sign_on("03", "482917")
        machine.client.step()
        assert server.outcome(cid) == ["applied", "signed_on"]
        assert machine.state.outbox == []


class TestPairingAgain:
    def test_until_the_confirmation_the_old_keys_stay_in_force(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        old = kid(machine)
        server.interrupt("enroll/confirm", problem("conflict"))
        with pytest.raises(Exception, match="conflict"):
            machine.client.enroll(server.origin, server.code)
        assert kid(machine) == old and machine.state.status == "active" and machine.state.pairing is None
        server.pending = None
        cid = server.issue("unlock", op="03")
        machine.client.step()
        assert server.outcome(cid) == ["applied"]

    def test_a_receipt_that_was_not_heard_before_is_heard_afterwards(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        cid = server.issue(op="03", password="482917")
        machine.till.receive(server.tokens[0])
        machine.client.enroll(server.origin, server.code)
        machine.client.step()
        assert server.outcome(cid) == ["applied"]
        assert machine.till.sign_on("03", "482917").accepted

    def test_on_another_record_nothing_of_the_old_one_is_said(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.issue("unlock", op="03")
        machine.till.receive(server.tokens[0])
        server.tid = "trm_" + "N" * 16
        machine.client.enroll(server.origin, server.code)
        assert machine.state.outbox == [] and machine.state.done == [] and machine.state.hwm == 0


class TestKeysets:
    def test_a_terminal_that_was_dark_catches_up_step_by_step(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        for version in range(3, 80):
            server.publish(version)
        assert machine.client.walk_keysets() == 64
        assert machine.client.walk_keysets() == 13
        assert machine.state.keyset["ver"] == 79

    def test_roots_change_hands_only_through_a_root_that_stays(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        old, new = jose.public_jwk(world.ROOT), jose.public_jwk(world.STRANGER)
        server.publish(3, roots=[new])
        assert machine.client.walk_keysets() == 0
        assert machine.state.trouble == "keyset_refused"
        server.publish(3, roots=[old, new])
        server.publish(4, root=world.STRANGER, roots=[new])
        assert machine.client.walk_keysets() == 2
        server.publish(5, root=world.ROOT)
        assert machine.client.walk_keysets() == 0

    def test_a_revoked_key_is_dropped_on_sight_and_stays_dropped(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        keys = [entry(world.ISSUER, "unlock"), entry(world.STRANGER, "unlock")]
        server.publish(3, keys=keys, revoked=[jose.kid16(world.STRANGER)])
        server.publish(4, keys=keys, revoked=[])
        assert machine.client.walk_keysets() == 2
        server.issue("unlock", op="03", key=world.STRANGER)
        machine.client.step()
        assert [claims.get("rc") for claims in server.receipts.values()] == ["key_revoked"]

    def test_past_its_end_a_keyset_vouches_for_nothing_but_is_followed(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.publish(3, exp=server.now() - 121)
        machine.client.walk_keysets()
        cid = server.issue("unlock", op="03")
        machine.client.step()
        assert server.outcome(cid) == ["rejected key_scope"]
        assert machine.state.hwm == 0
        server.publish(4)
        again = server.issue("unlock", op="03")
        machine.client.step()
        assert server.outcome(again) == ["applied"]

    def test_a_server_that_cannot_say_does_not_end_the_walk(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.publish(3, keys=[entry(world.STRANGER, "unlock")])
        cid = server.issue("unlock", op="03", key=world.STRANGER)
        server.closed["keysets"] = problem("unavailable")
        machine.client.step()
        assert server.receipts == {}
        del server.closed["keysets"]
        machine.client.step()
        assert server.outcome(cid) == ["applied"]

    def test_it_looks_for_keysets_once_a_day(self, machine: Machine, server: KeyedServer) -> None:
        def looked() -> int:
            return sum(request.path.startswith("keysets/") for request in server.requests)

        machine.client.step()
        before = looked()
        machine.client.step()
        assert looked() == before
        machine.later(86_401)
        server.clock_offset = 86_401
        machine.client.step()
        assert looked() == before + 1
