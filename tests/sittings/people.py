"""What people do at the pages: type the right code, a wrong one, another's; prove themselves in every way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from portal.addresses import digest_of
from portal.codes import derive_code
from portal.models import Address, Challenge
from portal.secrets import pepper
from terminals import ocra, requests
from tests.sittings.book import Book, Given, Sitting
from tests.sittings.browsers import App, Browser, signature
from tests.sittings.watching import Deed, right
from tests.sittings.world import World, post

TYPED: Final = ("right", "right", "right", "right", "wrong", "another's", "old", "empty", "odd", "twice")
NUMBERS: Final = ("03", "03", "00", "00", "01", "99")
WAYS: Final = ("app", "email", "paper", "contact", "passkey", "terminal")
PASSWORDS: Final = ("719402", "82640917", "4471", "")


class People:
    """Everybody's hands; what they know is the post, the papers, the app and the screens."""

    def __init__(self, world: World, book: Book, app: App) -> None:
        self.world, self.book, self.app = world, book, app
        self.shown: list[tuple[str, requests.Shown]] = []
        self.papers: list[str] = []
        self.asked: dict[str, int] = {}

    # --- codes ----------------------------------------------------------------------------------------------

    def code(self, challenge: str, typed: str) -> Any:
        """What is typed into a field for the code of this challenge."""
        mine = [letter.code for letter in post.about(challenge)]
        wrong = self.wrong(challenge)
        others = [letter.code for letter in post.letters if letter.code and letter.challenge != challenge]
        return {
            "right": mine[-1] if mine else wrong,
            "wrong": wrong,
            "another's": others[-1] if others else wrong,
            "old": mine[0] if mine else wrong,
            "empty": "",
            "odd": "12345²",
            "twice": [mine[-1] if mine else wrong] * 2,
        }[typed]

    def wrong(self, challenge: str) -> str:
        """Six digits that are not the code."""
        row = Challenge.objects.filter(pk=challenge).first()
        code = derive_code(pepper(), row.seed, row.purpose) if row is not None else "000000"
        return f"{(int(code) + 1) % 10**6:06}"

    def proves(self, challenge: str, typed: Any) -> bool:
        """Whether that is the code of this very challenge, as the letters have it."""
        return isinstance(typed, str) and right(typed, post.about(challenge))

    # --- beginning ------------------------------------------------------------------------------------------

    def begin(
        self, browser: Browser, path: str, fields: dict[str, str], phone: str, mailbox: str = ""
    ) -> Any:
        """Send the first form, and note which recovery this browser has now."""
        old = set(browser.watch.rows.recoveries)
        # The cookie that comes with the answer is of the new one.
        answer = browser.post(path, fields, Deed())
        answer = browser.solve(answer, path, fields)
        for pk in set(browser.watch.rows.recoveries) - old:
            # An owner who is signed in is known by that, not by the browser.
            known = (phone or mailbox) in browser.known_for and (mailbox != "" or path[:6] != "/start")
            self.book.sittings[pk] = Sitting(phone, mailbox, known)
        return answer

    def begin_with_passkey(self, browser: Browser, typed: str) -> Any:
        """Begin with the owner's passkey, the only thing that needs no code."""
        cast = self.world.cast
        options = browser.post("/start/passkey/options", {})
        if cast is None or options.status_code != 200:
            return None
        if typed == "empty":
            return browser.post("/start/passkey", {"response": "{}"}, Deed())
        deed = browser.deed(recovery="", passkey=True, proof=Given("passkey"), begins=Sitting(""))
        return browser.post("/start/passkey", {"response": signature(cast, options)}, deed)

    # --- one step on ----------------------------------------------------------------------------------------

    def go_on(self, browser: Browser, typed: str, number: str, way: str) -> None:
        """Do what the page asks on which this browser stands, well or not so well."""
        path = browser.where()
        pages: dict[str, Callable[[Browser, str, str, str], None]] = {
            "/code": self._code,
            "/match": self._match,
            "/terminal": self._terminal,
            "/operator": self._operator,
            "/password": self._password,
            "/offline": self._offline,
        }
        if path in pages:
            pages[path](browser, typed, number, way)

    def _code(self, browser: Browser, typed: str, number: str, way: str) -> None:
        row = browser.row
        assert row is not None
        code = self.code(row["challenge_id"], typed)
        self.type_code(browser, code)

    def type_code(self, browser: Browser, code: Any) -> Any:
        """Type something into the first code page, whatever the browser has."""
        row = browser.row
        challenge = row["challenge_id"] if row else ""
        deed = browser.deed()
        if row is not None and self.proves(challenge, code):
            sitting = self.book.sittings[row["id"]]
            channel = Challenge.objects.get(pk=challenge).channel
            half = self.book.shop.distrusted and not sitting.known and sitting.phone != ""
            by = self._mailbox(sitting.mailbox) if sitting.mailbox else ""
            deed.code_of, deed.proof = challenge, Given(channel, by, half)
        answer = browser.post("/code", {"code": code}, deed)
        taken = row is not None and deed.proof in self.book.sittings[row["id"]].given
        if taken and row is not None and not self.book.shop.distrusted:
            browser.known_for.add(self.book.sittings[row["id"]].phone)
        return answer

    def _mailbox(self, to: str) -> str:
        """The owner's address, by id, that is this mailbox; it may be gone by now."""
        owners = Address.objects.filter(digest=digest_of(to), holder=Address.Holder.OWNER)
        return owners.filter(retired_at__isnull=True).values_list("pk", flat=True).first() or ""

    def _match(self, browser: Browser, typed: str, number: str, way: str) -> None:
        row = browser.row
        assert row is not None
        shown = [shown for _, shown in self.shown if shown.rid == row["request_id"]]
        match = shown[0].match if shown and typed != "wrong" else "11"
        deed = browser.deed()
        if shown and match == shown[0].match:
            deed.proof = Given("possession", row["terminal_id"])
        browser.post("/match", {"number": match}, deed)

    def _terminal(self, browser: Browser, typed: str, number: str, way: str) -> None:
        cast = self.world.cast
        assert cast is not None
        till = {"another's": cast.foreign, "old": cast.tills[1]}.get(typed, cast.tills[0])
        browser.post("/terminal", {"terminal": till.terminal.pk})

    def _operator(self, browser: Browser, typed: str, number: str, way: str) -> None:
        answer = browser.post("/operator", {"operator": number, **browser.tab().hidden})
        if answer.status_code == 302 and answer["Location"].startswith("/prove/"):
            self.prove(browser, number, way, typed)

    def _password(self, browser: Browser, typed: str, number: str, way: str) -> None:
        hidden = browser.tab().hidden
        if typed == "old":
            browser.post("/password/choose", hidden)
        elif typed == "another's":
            browser.post("/operator", {"operator": number, **hidden})
        else:
            password = "" if typed == "empty" else self.password(browser)
            browser.post("/password", {"new_password": password, "again": password, **hidden})

    def password(self, browser: Browser) -> str:
        """One that this operator may have, and has not had lately."""
        self.asked["passwords"] = self.asked.get("passwords", 0) + 1
        drawn = f"{(self.asked['passwords'] * 7919 + 104_729) % 1_000_000:06}"
        return drawn if browser.about[1] != "99" else drawn + "73"

    def _offline(self, browser: Browser, typed: str, number: str, way: str) -> None:
        question = "0000000000" if typed == "wrong" else self.question(browser.about[0])
        browser.post("/offline", {"question": question, **browser.tab().hidden})

    def question(self, till: str) -> str:
        """What the screen of a terminal without network shows next."""
        self.asked[till] = self.asked.get(till, 0) + 1
        return ocra.make_question(self.asked[till])

    # --- further proofs -------------------------------------------------------------------------------------

    def prove(self, browser: Browser, number: str, way: str, typed: str) -> None:
        """Prove in one more way, for this operator."""
        ways: dict[str, Callable[[Browser, str, str], None]] = {
            "app": self._by_app,
            "email": partial(self._by_address, method="email"),
            "contact": partial(self._by_address, method="contact"),
            "paper": self._by_paper,
            "passkey": self._by_passkey,
        }
        page = f"/prove/{number}"
        browser.get(page)
        if way in ways:
            ways[way](browser, page, typed)
        else:
            browser.get(f"{page}/terminal")

    def _by_app(self, browser: Browser, page: str, typed: str) -> None:
        code = {"right": self.app.code(), "old": self.app.code(4)}.get(typed, "000000")
        counts = self.app.counts(code)
        deed = browser.deed(proof=Given("totp") if counts else None)
        before = self.app.last_step, len(browser.watch.rows.proofs)
        browser.post(f"{page}/app", {"app": self.app.id, "code": code}, deed)
        # A page that is over leads elsewhere without having looked at the code.
        if before != (self.app.last_step, len(browser.watch.rows.proofs)):
            self.app.spend(code)

    def _by_paper(self, browser: Browser, page: str, typed: str) -> None:
        spent = sorted(set(self.papers) - self.book.shop.paper)
        good = [code for code in self.papers if code in self.book.shop.paper]
        code = (good or ["ABCD-EFGH-JKMN-PQRV"])[0] if typed != "old" else (spent or ["0"])[-1]
        alive = code in self.book.shop.paper
        deed = browser.deed(proof=Given("recovery_code", code) if alive else None)
        browser.post(f"{page}/paper", {"code": code}, deed)

    def _by_passkey(self, browser: Browser, page: str, typed: str) -> None:
        cast = self.world.cast
        options = browser.post(f"{page}/passkey/options", {})
        if cast is None or options.status_code != 200:
            return
        signed = signature(cast, options)
        deed = browser.deed(passkey=True, proof=Given("passkey"))
        browser.post(f"{page}/passkey", {"response": signed if typed != "empty" else "{}"}, deed)

    def _by_address(self, browser: Browser, page: str, typed: str, method: str) -> None:
        row = browser.row
        holder = Address.Holder.CONTACT if method == "contact" else Address.Holder.OWNER
        rows = Address.objects.filter(retired_at__isnull=True, holder=holder).order_by("created_at", "pk")
        address = rows.values_list("pk", flat=True).first()
        if row is None or address is None:
            return
        if browser.post(f"{page}/{method}", {"way": address}).status_code != 302:
            return
        self.world.work()
        browser.watch.look(Deed())
        subject = f"{row['id']}:{method}:{address}"
        mine = Challenge.objects.filter(purpose="recovery-address", subject=subject).order_by("-created_at")
        challenge = mine.values_list("pk", flat=True).first() or ""
        code = self.code(challenge, typed)
        deed = browser.deed()
        if self.proves(challenge, code):
            deed.code_of, deed.proof = challenge, Given(method, address)
        browser.post(f"{page}/{method}/code", {"code": code}, deed)
