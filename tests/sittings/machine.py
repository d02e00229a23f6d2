"""Rules in any order over every door of a recovery; the watch looks after each, the book knows better."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import rule

from terminals import commands, requests
from terminals.models import Command
from terminals.protocol import ProtocolError
from tests.cast import ANOTHER, FUMANLOU
from tests.sittings.browsers import Browser
from tests.sittings.owners import NAMED, PHONES
from tests.sittings.people import NUMBERS, TYPED, WAYS
from tests.sittings.stage import NAMES, Stage
from tests.sittings.watching import Deed
from tests.sittings.world import OTHER_PHONE, OWNER_PHONE

SHOPS: Final = (
    FUMANLOU["number"],
    FUMANLOU["number"],
    FUMANLOU["number"],
    ANOTHER["number"],
    "898440158129999",
)
MAILBOXES: Final = (NAMED[0], NAMED[0], NAMED[1], "nobody@example.com")
TYPED_PHONES: Final = (*PHONES, OTHER_PHONE, "+8613812345678")
# Minutes most often; now and then what is open ends, a hold is over, a phone grows old.
HOURS: Final = (
    *(5, 21, 31, 61, 61, 61, 61, 121, 121, 301, 301, 601, 1801, 3601, 3601, 6 * 3600, 86_401),
    *(3 * 86_400 + 1, 30 * 86_400, 91 * 86_400),
)
PAGES: Final = (
    "/ /code /code/resend /code/call /code/delivery /match /match/no /stopped /terminal /operator"
    " /operator/remembered /prove/00 /prove/03 /prove/00/app /prove/00/paper /prove/00/email"
    " /prove/00/email/code /prove/00/contact /prove/00/contact/code /prove/00/passkey"
    " /prove/00/passkey/options /prove/00/terminal /password /password/choose /offline /status"
    " /status/fragment /status/withdraw /status/again /expired /support /support/sent /t"
    " /start/other /start/passkey /start/passkey/options /veto /not-me /not-me/code /join /forgotten-password"
    " /lost-device"
).split()

browsers = st.sampled_from(range(len(NAMES)))
owners = st.sampled_from((0, 1))
typed = st.sampled_from(TYPED)
numbers = st.sampled_from(NUMBERS)
strict = st.sampled_from(("03", "00", "00", "99"))
ways = st.sampled_from(WAYS)
tills = st.sampled_from((0, 0, 0, 1))


class Sittings(Stage):
    """Everything that people, machines and the clock may do, in any order."""

    # --- beginning ------------------------------------------------------------------------------------------

    @rule(who=browsers, shop=st.sampled_from(SHOPS), phone=st.sampled_from(TYPED_PHONES))
    def somebody_says_which_shop(self, who: int, shop: str, phone: str) -> None:
        browser = self.browsers[who]
        browser.get("/")
        self.people.begin(browser, "/", {"shop": shop, "phone": phone, **browser.tab().hidden}, phone)
        self.after()

    @rule(who=browsers, steps=st.sampled_from((1, 2, 3, 6, 6)), number=strict, way=ways)
    def somebody_of_the_shop_asks_and_is_let_in(self, who: int, steps: int, number: str, way: str) -> None:
        browser, phone = self.browsers[who], self.book.shop.phone
        fields = {"shop": FUMANLOU["number"], "phone": phone, "form": ""}
        self.people.begin(browser, "/", fields, phone)
        self.go_on_well(browser, steps, number, way)

    @rule(who=browsers, number=strict, way=ways)
    def somebody_of_the_shop_comes_on_another_day(self, who: int, number: str, way: str) -> None:
        """When the day's texts are there again, and after the hours in which what is new is held."""
        self.world.pass_time(3 * 86_400 + 61)
        self.sweep()
        self.somebody_of_the_shop_asks_and_is_let_in(who, 6, number, way)

    @rule(who=browsers, shop=st.sampled_from(SHOPS), to=st.sampled_from(MAILBOXES), steps=st.integers(0, 5))
    def somebody_begins_with_a_mailbox(self, who: int, shop: str, to: str, steps: int) -> None:
        browser = self.browsers[who]
        browser.get("/start/other")
        fields = {"shop": shop, "email": to, **browser.tab().hidden}
        self.people.begin(browser, "/start/other", fields, "", to)
        self.go_on_well(browser, steps, "00" if steps == 4 else "03", "app")

    @rule(who=browsers, how=typed, steps=st.integers(0, 5), number=strict, way=ways)
    def somebody_begins_with_a_passkey(self, who: int, how: str, steps: int, number: str, way: str) -> None:
        browser = self.browsers[who]
        browser.get("/start/other")
        self.people.begin_with_passkey(browser, how)
        self.go_on_well(browser, steps, number, way)

    @rule(till=tills, number=st.sampled_from(("00", "03", "99")))
    def a_terminal_shows_a_code(self, till: int, number: str) -> None:
        paired = self.cast.tills[till]
        try:
            shown = requests.open_request(type(paired.terminal).objects.get(pk=paired.terminal.pk), number)
        except ProtocolError:
            return
        self.people.shown.append((paired.terminal.pk, shown))
        self.watch.look(Deed())

    @rule(who=browsers, which=st.integers(0, 2), phone=st.sampled_from(TYPED_PHONES))
    def somebody_scans_it(self, who: int, which: int, phone: str) -> None:
        shown = self.people.shown[-1 - which % len(self.people.shown)][1] if self.people.shown else None
        if shown is None:
            return
        path = f"/t/{shown.user_code}"
        browser = self.browsers[who]
        browser.get(path)
        self.people.begin(browser, path, {"phone": phone, **browser.tab().hidden}, phone)
        self.after()

    @rule(who=owners, till=tills, number=st.sampled_from(("", "03", "00", "99")), offline=st.booleans())
    def the_owner_starts_from_home(self, who: int, till: int, number: str, offline: bool) -> None:
        end = "/offline" if offline else f"/{number}" if number else ""
        path = f"/start/{self.cast.tills[till].terminal.pk}{end}"
        self.people.begin(self.browsers[who], path, {}, self.book.shop.phone)
        self.after()

    # --- going on -------------------------------------------------------------------------------------------

    @rule(who=browsers, how=typed, number=numbers, way=ways)
    def somebody_goes_on(self, who: int, how: str, number: str, way: str) -> None:
        self.people.go_on(self.browsers[who], how, number, way)
        self.after()

    @rule(who=browsers, steps=st.sampled_from((1, 2, 4)), number=strict, way=ways)
    def somebody_goes_on_well(self, who: int, steps: int, number: str, way: str) -> None:
        self.go_on_well(self.browsers[who], steps, number, way)

    @rule(who=browsers, how=typed, number=numbers, way=ways)
    def somebody_proves_once_more(self, who: int, how: str, number: str, way: str) -> None:
        self.people.prove(self.browsers[who], number, way, how)
        self.after()

    @rule(who=browsers, path=st.sampled_from(("/code/resend", "/code/call")))
    def somebody_asks_for_the_code_again(self, who: int, path: str) -> None:
        self.browsers[who].post(path, {})
        self.after()

    @rule(who=browsers, how=st.sampled_from(("right", "wrong", "another's", "old")))
    def somebody_types_a_code_at_once(self, who: int, how: str) -> None:
        row = self.browsers[who].row
        self.people.type_code(self.browsers[who], self.people.code(row["challenge_id"] if row else "", how))

    @rule(who=browsers, tries=st.integers(3, 7))
    def somebody_guesses(self, who: int, tries: int) -> None:
        for _ in range(tries):
            row = self.browsers[who].row
            self.people.type_code(self.browsers[who], self.people.wrong(row["challenge_id"] if row else ""))

    @rule(who=browsers, other=browsers)
    def somebody_types_the_code_that_another_got(self, who: int, other: int) -> None:
        row = self.browsers[other].row
        if row is not None:
            self.people.type_code(self.browsers[who], self.people.code(row["challenge_id"], "right"))

    # --- out of turn ----------------------------------------------------------------------------------------

    @rule(who=browsers, other=browsers, back=st.integers(0, 12), number=numbers)
    def an_old_tab_is_sent(self, who: int, other: int, back: int, number: str) -> None:
        """One's own, or with what another browser's page had in it."""
        tabs = [
            tab for tab in self.browsers[other].tabs if tab.path in ("/operator", "/password", "/offline")
        ]
        if not tabs:
            return
        tab, browser = tabs[-1 - back % len(tabs)], self.browsers[who]
        password = self.people.password(browser)
        fields = {"operator": number, "new_password": password, "again": password, **tab.hidden}
        fields["question"] = self.people.question(tab.about[0])
        about = tab.about if tab.path != "/operator" else browser.about
        browser.post(tab.path, fields, browser.deed(about=about))
        self.after()

    @rule(
        who=browsers,
        path=st.sampled_from(PAGES),
        how=st.sampled_from(("look", "empty", "full")),
        number=numbers,
    )
    def somebody_jumps(self, who: int, path: str, how: str, number: str) -> None:
        browser = self.browsers[who]
        if how == "look":
            browser.get(path)
            return
        foreign = self.cast.foreign.terminal.pk
        fields: dict[str, Any] = {"operator": number, "terminal": foreign, "code": "000000", "number": "10"}
        fields |= {"new_password": "719402", "again": "719402", "way": "totp", "response": "{}", "text": "x"}
        fields |= {
            "question": "0000000000",
            "subject": browser.tabs[-1].hidden.get("subject", "") if browser.tabs else "",
        }
        browser.post(path, fields if how == "full" else {})
        self.after()

    @rule(who=browsers, name=st.sampled_from(("/operator", "/password", "/code")), number=numbers)
    def a_form_arrives_twice_in_one(self, who: int, name: str, number: str) -> None:
        twice = {"operator": [number, "03"], "new_password": ["719402"] * 2, "code": ["000000"] * 2}
        browser = self.browsers[who]
        browser.get(name)
        browser.post(name, {**(browser.tabs[-1].hidden if browser.tabs else {}), **twice, "again": "719402"})

    @rule(who=browsers, victim=browsers)
    def a_cookie_is_planted(self, who: int, victim: int) -> None:
        name = "rekey_recovery"
        if self.browsers[who].cookie:
            self.browsers[victim].client.cookies[name] = self.browsers[who].cookie

    @rule(to=st.sampled_from((OWNER_PHONE, OTHER_PHONE, NAMED[0])), again=st.booleans())
    def two_ask_and_one_of_them_is_nobody(self, to: str, again: bool) -> None:
        answers = []
        mails = "@" in to
        for index, typed in enumerate((to, "nobody@example.com" if mails else "+8613812345678")):
            browser = Browser("somebody", f"203.0.{len(self.book.sittings) % 250}.{index}", self.watch)
            fields = {"shop": FUMANLOU["number"], "email" if mails else "phone": typed, "form": ""}
            path, which = ("/start/other", ("", typed)) if mails else ("/", (typed, ""))
            first = self.people.begin(browser, path, fields, *which)
            self.work()
            pages = [browser.get("/code"), browser.post("/code", {"code": ""})]
            row = browser.row
            pages.append(
                browser.post("/code", {"code": self.people.wrong(row["challenge_id"] if row else "")})
            )
            pages.append(browser.post("/code/resend", {}) if again else browser.get("/operator"))
            answers.append([(page.status_code, page.headers.get("Location", "")) for page in (first, *pages)])
        assert answers[0] == answers[1], "it can be told who is known"

    # --- afterwards -----------------------------------------------------------------------------------------

    @rule(who=browsers, path=st.sampled_from(("/status/withdraw", "/status/again", "/status")))
    def somebody_looks_after_it(self, who: int, path: str) -> None:
        browser = self.browsers[who]
        browser.get(path)
        if path != "/status":
            browser.post(path, {})
            self.after()

    @rule(who=browsers, steps=st.integers(0, 1))
    def somebody_did_not_ask_for_this(self, who: int, steps: int) -> None:
        browser = self.browsers[who]
        browser.post("/status/not-me", {}, browser.deed(not_me=True))
        # Whoever is set back is tempted to go on at once.
        self.go_on_well(browser, steps, "03", "app")

    @rule(who=browsers)
    def somebody_asks_support(self, who: int) -> None:
        self.browsers[who].get("/support")
        self.browsers[who].post("/support", {"text": "It does not work.", "phone": ""})

    # --- the owner ------------------------------------------------------------------------------------------

    @rule(who=owners)
    def the_owner_signs_in(self, who: int) -> None:
        self.browsers[who].sign_in(self.cast)

    @rule(who=owners, phone=st.sampled_from(PHONES), well=st.booleans())
    def the_owner_changes_the_phone(self, who: int, phone: str, well: bool) -> None:
        browser = self.browsers[who]
        if well:
            browser.sign_in(self.cast)
        self.owners.change_phone(browser, phone)
        self.after()
        if well:
            self.work()
            self.owners.type_code(browser, "right")

    @rule(who=owners, to=st.sampled_from(NAMED), holder=st.sampled_from(("owner", "contact")))
    def the_owner_names_an_address(self, who: int, to: str, holder: str) -> None:
        self.owners.name(self.browsers[who], to, holder)
        self.after()

    @rule(who=owners, how=typed)
    def the_owner_types_the_code_of_an_address(self, who: int, how: str) -> None:
        self.owners.type_code(self.browsers[who], how)
        self.after()

    @rule(who=owners, address=st.booleans())
    def the_owner_confirms(self, who: int, address: bool) -> None:
        self.owners.confirm(self.browsers[who], address)
        self.after()

    @rule(who=owners, from_start=st.booleans())
    def the_owner_undoes_a_change(self, who: int, from_start: bool) -> None:
        self.owners.undo(self.browsers[who], from_start=from_start)
        self.after()

    @rule(who=browsers, phone=st.sampled_from(PHONES))
    def whoever_was_told_of_a_change_undoes_it(self, who: int, phone: str) -> None:
        self.owners.veto(self.browsers[who], phone)
        self.after()

    @rule(who=st.sampled_from(range(20)), newest=st.booleans())
    def somebody_says_so_with_the_number_of_a_notice(self, who: int, newest: bool) -> None:
        """Seldom, for it keeps everybody from going on."""
        if who < len(self.browsers):
            self.owners.object(self.browsers[who], newest=newest)
            self.after()

    @rule(who=owners, paper=st.booleans())
    def the_owner_renews_what_there_is(self, who: int, paper: bool) -> None:
        if paper:
            self.owners.make_paper(self.browsers[who])
        else:
            self.owners.remove(self.browsers[who])
        self.after()

    # --- staff, terminals, the worker, the clock ------------------------------------------------------------

    @rule(
        what=st.sampled_from(("suspend", "till", "phone", "distrust")),
        phone=st.sampled_from(PHONES),
        till=tills,
    )
    def staff_does_something(self, what: str, phone: str, till: int) -> None:
        if what == "suspend":
            self.desk.suspend()
        elif what == "till":
            self.desk.stop_till(till)
        elif what == "phone":
            self.desk.replace_phone(phone)
        else:
            self.desk.distrust()
        self.watch.look(Deed())

    @rule(what=st.sampled_from(("fetch", "apply", "reject", "apply")))
    def a_terminal_carries_on(self, what: str) -> None:
        for command in self.desk.open_commands()[:1]:
            if what == "fetch" and command.state == Command.State.QUEUED:
                commands.move(command, Command.State.FETCHED, actor="till", fetched_at=timezone.now())
            elif what == "apply":
                commands.applied(command, timezone.now())
            elif what == "reject":
                commands.rejected(command, "policy_rejected")
        self.watch.look(Deed())

    @rule(what=st.sampled_from(("all", "all", "one", "double", "lost")))
    def the_worker(self, what: str) -> None:
        if what == "lost":
            self.world.queue.clear()
        if what == "double":
            self.world.queue.extend(list(self.world.queue))
        if what == "one" and self.world.queue:
            self.world.queue.rotate(-1)
            self.world.work_one()
        else:
            self.world.work()
        self.watch.look(Deed())

    @rule(seconds=st.sampled_from(HOURS), swept=st.booleans())
    def time_passes(self, seconds: float, swept: bool) -> None:
        self.world.pass_time(seconds)
        if swept:
            self.sweep()
