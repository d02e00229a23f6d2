"""Everything that may come between a terminal and its server, as rules, and what always holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from terminals import commands, delivery, inbox, signing
from terminals.life import pairing_codes, stopping
from terminals.models import Command
from terminals.protocol import LOCK, MESSAGE, OPEN, REBOOT, SET_CREDENTIAL, UNLOCK
from terminals.simulator import failpoints
from tests.machine import backup
from tests.machine.chance import chance
from tests.machine.link import KINDS, Answering, Fault, Plan, Server
from tests.machine.scene import OnDisk, Scene, counted, cut_at

NUMBERS = ("01", "03")
# What this machine commits and sends; each commit has nine points at which the power may fail.
COMMITS = ("receive", "settle", "signed-on", "chosen", "pairing", "paired", "roll", "rolled", "boot")
SENDS = ("enroll", "confirm", "receipts", "inventory", "commands", "roll", "keysets")
BITES = tuple(fault for fault in Fault if fault != Fault.NONE)

numbers = st.sampled_from(NUMBERS)
targeted = st.dictionaries(st.sampled_from(KINDS), st.sampled_from(BITES), max_size=2)
faults: st.SearchStrategy[Plan] = st.one_of(st.lists(st.sampled_from(list(Fault)), max_size=4), targeted)
places = st.sampled_from(("", "", *COMMITS))


class TerminalAndServer(Scene):
    """Rules have no preconditions: what is drawn does not depend on what the two sides make of it."""

    @initialize(opening=st.integers(0, 11), number=numbers, every=st.sampled_from((2, 3, 5, 60)))
    def a_day_begins(self, opening: int, number: str, every: int) -> None:
        """Some runs begin where it gets interesting; what follows is drawn as ever.

        Besides whatever else happens, the terminal asks by itself after so many steps.
        """
        self.every = every
        self.somebody_resets_a_password(number, choose=False)
        (
            self.all_goes_well,
            self.the_server_is_backed_up,
            lambda: self.what_was_done_is_forgotten(number),
            lambda: self.all_goes_its_way({"receipts": Fault.LOSE_REPLY}),
            lambda: self.the_terminal_is_stopped_with_a_token_in_hand("commands"),
            lambda: self.the_terminal_is_stopped_with_a_token_in_hand("receipts"),
            self.keys_change_before_the_receipt,
            self.a_roll_is_forgotten,
            lambda: self.something_is_withdrawn_that_was_handed_over(number),
            lambda: self.an_older_token_comes_after_a_newer_one(number),
            lambda: self.an_older_question_comes_after_a_new_key(number),
            lambda: self.a_worker_dies_with_a_token_in_hand(number),
        )[opening]()

    def what_was_done_is_forgotten(self, number: str) -> None:
        """Backed up, used, restored, used again: numbers that were given out would be given out again."""
        self.the_server_is_backed_up()
        for _ in range(2):
            self.somebody_resets_a_password(number, choose=False)
            self.all_goes_well()
        self.the_server_is_restored(wiped=False)
        self.somebody_resets_a_password(number, choose=False)

    def the_terminal_is_stopped_with_a_token_in_hand(self, kind: str) -> None:
        """Handed over, and stopped before the terminal has it, or before it has told what it did."""
        self.all_goes_its_way({kind: Fault.LOSE_REPLY if kind == "commands" else Fault.LOSE_REQUEST})
        self.the_terminal_is_reported("lost")
        self.all_goes_well()

    def keys_change_before_the_receipt(self) -> None:
        """What was done under the old key is told by the new one."""
        self.all_goes_its_way({"receipts": Fault.LOSE_REQUEST})
        self.the_terminal_is_paired_again([])
        self.the_terminal_rolls_its_keys("sign")
        self.all_goes_its_way({"keys/roll": Fault.LOSE_REPLY})

    def a_roll_is_forgotten(self) -> None:
        """The server knows a key that the terminal does not know any more; a day passes."""
        self.the_terminal_rolls_its_keys("both")
        self.all_goes_its_way({"commands": Fault.LOSE_REQUEST})
        self.the_terminal_gives_up_a_roll()
        self.time_passes(90_000)
        self.the_worker_works()

    def something_is_withdrawn_that_was_handed_over(self, number: str) -> None:
        """The reply with the token is late or lost, and only the terminal knows which came first."""
        self.all_goes_its_way({"commands": Fault.DOUBLE, "receipts": Fault.LOSE_REQUEST})
        self.somebody_withdraws(0)
        self.somebody_resets_a_password(number, choose=True)
        self.something_arrives_late(0)

    def an_older_token_comes_after_a_newer_one(self, number: str) -> None:
        """The first one was replaced, and the terminal had never seen it."""
        self.all_goes_its_way({"commands": Fault.LOSE_REPLY})
        self.somebody_resets_a_password(number, choose=False)
        self.all_goes_well()
        self.an_old_answer_arrives(1)

    def an_older_question_comes_after_a_new_key(self, number: str) -> None:
        """Asked in the name of a key that is over, while something signed for it waits."""
        self.all_goes_well()
        self.somebody_resets_a_password(number, choose=True)
        self.all_goes_its_way({"commands": Fault.DELAY})
        self.the_terminal_is_paired_again([])
        self.something_arrives_late(0)

    def a_worker_dies_with_a_token_in_hand(self, number: str) -> None:
        """Signed, on record, and in no inbox."""
        self.the_worker_works()
        self.all_goes_well()
        self.somebody_resets_a_password(number, choose=False)
        self.the_worker_dies_before_it_pushes()

    # --- people ------------------------------------------------------------------------------------------

    @rule(number=numbers, choose=st.booleans())
    def somebody_resets_a_password(self, number: str, choose: bool) -> None:
        password = "" if choose else chance.password()
        more: dict[str, Any] = {"choose": True} if choose else {"sealed_password": password}
        try:
            command = commands.issue(
                self.row, SET_CREDENTIAL, operator_number=number, requested_by="user:1", **more
            )
        except commands.CannotIssue:
            return
        counted["resets"] += 1
        self.issued.append((command.pk, number, password))

    @rule(kind=st.sampled_from((LOCK, UNLOCK, MESSAGE, REBOOT)))
    def staff_send_something(self, kind: str) -> None:
        args = {"text": "请致电客服"} if kind == MESSAGE else {}
        try:
            commands.issue(self.row, kind, requested_by="user:2", args=args)
        except commands.CannotIssue:
            return
        counted["other commands"] += 1

    @rule(back=st.integers(0, 2))
    def somebody_withdraws(self, back: int) -> None:
        alive = list(Command.objects.filter(terminal_id=self.id, state__in=OPEN).order_by("-created_at"))
        if back < len(alive):
            counted["withdrawals"] += commands.cancel(alive[back].pk, "user:1")

    @rule(busy=st.booleans())
    def a_sale_begins_or_ends(self, busy: bool) -> None:
        self.till.set_busy(busy)

    @rule(number=numbers)
    def somebody_signs_on(self, number: str) -> None:
        with self.mains():
            self.till.sign_on(number, self.in_force(number))

    @rule(number=numbers)
    def somebody_chooses(self, number: str) -> None:
        password, reset = chance.password(), self.till.store.load().operators[number].reset
        if reset is None or reset.choose_until is None:
            return
        with self.mains():
            self.till.choose(number, password)
        if self.till.passwords.matches(password, self.till.store.load().operators[number].hashes[0]):
            counted["choices"] += 1
            self.chosen[reset.cid] = password

    # --- the line and the server -------------------------------------------------------------------------

    @rule()
    def the_worker_works(self) -> None:
        self.work()

    @rule()
    def the_worker_dies_before_it_pushes(self) -> None:
        """What it signed is on record, and nobody was told."""
        now = timezone.now()
        ids = list(signing.unclaimed(now).order_by("created_at").values_list("pk", flat=True))
        if ids:
            counted["dead workers"] += 1
            signing.sign(ids, now, now + delivery.CLAIM)

    @rule()
    def all_goes_well(self) -> None:
        self.deliver()
        with self.mains():
            self.round([])

    @rule(plan=faults)
    def the_terminal_makes_a_round(self, plan: Plan) -> None:
        """With what the workers have done by now."""
        with self.mains():
            self.round(plan)

    @rule(plan=faults)
    def all_goes_its_way(self, plan: Plan) -> None:
        self.deliver()
        with self.mains():
            self.round(plan)

    @rule(which=st.integers(0, 9))
    def something_arrives_late(self, which: int) -> None:
        if self.line.under_way:
            counted["late arrivals"] += 1
            self.line.arrive(which)

    @rule(back=st.integers(0, 9))
    def an_old_answer_arrives(self, back: int) -> None:
        """A token that was handed over some time ago, and that the terminal may have seen or not."""
        if back < len(self.handed_over):
            counted["old tokens"] += 1
            with self.mains():
                self.till.receive(self.handed_over[-1 - back])

    @rule()
    def redis_is_wiped(self) -> None:
        # The poll listens all the time: what was said before is gone, and heard.
        self.server.hear()
        inbox.client().flushall()

    @rule()
    def the_server_is_backed_up(self) -> None:
        self.saved = backup.take(self.id)

    @rule(wiped=st.booleans())
    def the_server_is_restored(self, wiped: bool) -> None:
        if self.saved is None or not self.saved_key_is_current():
            return
        counted["restores"] += 1
        self.rewound |= set(self.carried_out())
        self.learn_tokens()
        backup.restore(self.saved)
        self.saved = None
        self.heard.clear()
        # Whoever restores a database restarts what stands on it; Redis may be old or empty.
        inbox.client().flushall() if wiped else inbox.client().delete(inbox.GENERATION)
        inbox.evict(self.id)

    @rule(seconds=st.sampled_from((1, 10, 61, 400, 3700, 90_000)))
    def time_passes(self, seconds: int) -> None:
        chance.pass_time(seconds)
        self.server.write_notes()

    # --- power -------------------------------------------------------------------------------------------

    @rule(where=places, stage=st.sampled_from(failpoints.STAGES))
    def the_power_will_fail(self, where: str, stage: str) -> None:
        """When the terminal comes to this point of a commit for the first time, whatever brings it there."""
        self.cut_when(lambda point: point.endswith(f"/{stage}") and point.startswith(where))

    @rule(kind=st.sampled_from(SENDS), moment=st.sampled_from(("not-yet-sent", "sent")))
    def the_power_will_fail_on_the_line(self, kind: str, moment: str) -> None:
        """Right before this kind of request leaves, or when its answer is there."""
        self.cut_when(lambda point: point == f"{kind}/{moment}")

    @rule(stage=st.sampled_from(failpoints.STAGES), number=numbers)
    def the_power_fails_over_a_new_password(self, stage: str, number: str) -> None:
        self.somebody_resets_a_password(number, choose=False)
        self.the_power_will_fail("receive", stage)
        self.all_goes_well()

    def cut_when(self, chosen: Callable[[str], bool]) -> None:
        """Once."""

        def cut(point: str) -> None:
            if chosen(point) and point.partition("/")[0] in (*COMMITS, *SENDS):
                failpoints.hook = None
                cut_at[point] += 1
                raise failpoints.PowerCut(point)

        failpoints.hook = cut

    @rule()
    def the_terminal_is_switched_off_and_on(self) -> None:
        with self.mains():
            self.start_machine()

    # --- keys --------------------------------------------------------------------------------------------

    @rule(which=st.sampled_from(("sign", "both")))
    def the_terminal_rolls_its_keys(self, which: str) -> None:
        counted["key rolls"] += 1
        self.till.alter(roll_wanted=which)

    @rule(plan=faults)
    def the_terminal_is_paired_again(self, plan: Plan) -> None:
        if self.row.state in pairing_codes.CLOSED:
            return
        counted["pairings"] += 1
        with self.mains():
            self.line.plan = plan.copy()
            self.pair()
        self.line.plan = []

    @rule()
    def the_terminal_gives_up_a_roll(self) -> None:
        """Against the rule, but such firmware exists: nothing that is still under way may shut it out."""
        if self.may_give_up_a_roll():
            counted["rolls given up"] += 1
            self.till.alter(rolling=None, roll_wanted="")

    # --- a terminal that is not trusted ------------------------------------------------------------------

    @rule(reason=st.sampled_from(("lost", "stolen")))
    def the_terminal_is_reported(self, reason: str) -> None:
        counted["quarantines"] += stopping.quarantine(self.row, "user:2", reason)

    @rule()
    def the_terminal_is_found(self) -> None:
        stopping.release(self.row, "user:2", "found")

    @rule(number=numbers)
    def the_terminal_is_reported_lost_and_found(self, number: str) -> None:
        self.the_terminal_is_reported("lost")
        self.somebody_resets_a_password(number, choose=True)
        self.deliver()
        with self.mains():
            self.round([])
        self.the_terminal_is_found()

    # --- what always holds -------------------------------------------------------------------------------

    @invariant()
    def numbers_only_rise(self) -> None:
        counted["steps"] += 1
        self.steps += 1
        chance.pass_time()
        if self.steps % self.every == 0:
            self.all_goes_well()
        accepted, highest = self.accepted(), dict[str, int]()
        if not self.tokens.keys() >= set(accepted):
            self.learn_tokens()
        for jti in accepted:
            jkt, seq = self.tokens[jti]
            assert seq > highest.get(jkt, 0), "a sequence number was used twice or went back"
            highest[jkt] = seq

    @invariant()
    def the_password_in_force_is_of_the_newest_command_carried_out(self) -> None:
        for number in NUMBERS:
            hashed = self.till.store.load().operators[number].hashes[0]
            assert self.till.passwords.matches(self.in_force(number), hashed), "not the newest password"


class ThroughTheDoors(OnDisk, TerminalAndServer):
    """The same with files, frames, threads and an event loop: a step costs twenty times as much."""

    hears_at_once = False

    def open_server(self) -> Answering:
        """Who answers."""
        return Server()
