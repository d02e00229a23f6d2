"""Openings: a few steps of the machine in a given order, each bringing one kind of defect to light."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.cast import FUMANLOU
from tests.sittings.machine import Sittings
from tests.sittings.owners import NAMED, PHONES
from tests.sittings.world import OWNER_PHONE

Opening = Callable[[Sittings], None]
OPENINGS: Final[dict[str, Opening]] = {}
OWNER, CASHIER, THIEF = 0, 2, 3
SHORT = 61


def opening(play: Opening) -> Opening:
    """One more."""
    OPENINGS[play.__name__] = play
    return play


def _shop(
    day: Sittings, *, paper: bool = False, named: bool = False, one_till: bool = True, old: bool = False
) -> None:
    day.what_the_shop_has(eager=True, paper=paper, named=named, one_till=one_till, old=old)


def _rest(day: Sittings, seconds: float = SHORT) -> None:
    day.time_passes(seconds=seconds, swept=True)


def _reset(day: Sittings, who: int, number: str, way: str) -> None:
    """From the first page to the command, as far as one is let."""
    day.somebody_of_the_shop_asks_and_is_let_in(who=who, steps=6, number=number, way=way)


@opening
def the_supervisor_with_a_text_and_an_app(day: Sittings) -> None:
    _shop(day)
    _reset(day, CASHIER, "00", "app")


@opening
def maintenance_with_a_text_and_an_app(day: Sittings) -> None:
    _shop(day)
    _reset(day, CASHIER, "99", "app")


@opening
def the_code_that_another_browser_got(day: Sittings) -> None:
    _shop(day)
    for who in (CASHIER, THIEF):
        day.somebody_says_which_shop(who=who, shop=FUMANLOU["number"], phone=OWNER_PHONE)
        _rest(day)
    day.somebody_types_the_code_that_another_got(who=THIEF, other=CASHIER)


@opening
def the_supervisor_soon_after_a_new_phone(day: Sittings) -> None:
    _shop(day)
    day.the_owner_changes_the_phone(who=OWNER, phone=PHONES[1], well=True)
    _rest(day)
    _reset(day, CASHIER, "00", "app")


@opening
def the_supervisor_with_a_phone_that_is_old(day: Sittings) -> None:
    _shop(day, old=True)
    _reset(day, CASHIER, "00", "app")


@opening
def it_was_not_us_and_one_tries_on(day: Sittings) -> None:
    _shop(day)
    _reset(day, CASHIER, "03", "app")
    day.somebody_did_not_ask_for_this(who=CASHIER, steps=0)
    _rest(day)
    _reset(day, THIEF, "03", "app")


@opening
def wrong_codes_and_the_code_once_more(day: Sittings) -> None:
    _shop(day)
    day.somebody_says_which_shop(who=THIEF, shop=FUMANLOU["number"], phone=OWNER_PHONE)
    day.somebody_guesses(who=THIEF, tries=3)
    _rest(day)
    day.somebody_asks_for_the_code_again(who=THIEF, path="/code/resend")
    day.somebody_guesses(who=THIEF, tries=7)


@opening
def one_card_of_paper(day: Sittings) -> None:
    _shop(day, paper=True)
    _reset(day, CASHIER, "00", "paper")


@opening
def a_new_phone_while_somebody_recovers(day: Sittings) -> None:
    _shop(day)
    day.somebody_of_the_shop_asks_and_is_let_in(who=CASHIER, steps=2, number="03", way="app")
    day.the_owner_changes_the_phone(who=OWNER, phone=PHONES[1], well=True)


@opening
def two_tabs_of_one_browser(day: Sittings) -> None:
    _shop(day)
    day.somebody_of_the_shop_asks_and_is_let_in(who=CASHIER, steps=2, number="03", way="app")
    day.somebody_goes_on(who=CASHIER, how="another's", number="01", way="app")
    day.an_old_tab_is_sent(who=CASHIER, other=CASHIER, back=0, number="03")


@opening
def many_texts(day: Sittings) -> None:
    _shop(day)
    for who in (1, 2, 3, 4, 1, 2, 3, 4):
        day.somebody_says_which_shop(who=who, shop=FUMANLOU["number"], phone=OWNER_PHONE)
        _rest(day, 301)
        day.somebody_asks_for_the_code_again(who=who, path="/code/resend")
        _rest(day, 301)


@opening
def a_passkey_that_is_nobodys(day: Sittings) -> None:
    _shop(day)
    day.somebody_begins_with_a_passkey(who=THIEF, how="empty", steps=0, number="03", way="app")


@opening
def the_supervisor_with_a_new_mailbox(day: Sittings) -> None:
    _shop(day, named=True)
    browser = day.browsers[CASHIER]
    fields = {"shop": FUMANLOU["number"], "email": NAMED[0], "form": ""}
    day.people.begin(browser, "/start/other", fields, "", NAMED[0])
    day.go_on_well(browser, 6, "00", "app")


@opening
def the_old_phone_undoes_a_change(day: Sittings) -> None:
    _shop(day)
    day.the_owner_changes_the_phone(who=OWNER, phone=PHONES[1], well=True)
    _rest(day)
    day.whoever_was_told_of_a_change_undoes_it(who=THIEF, phone=OWNER_PHONE)


@opening
def who_is_known_and_who_is_not(day: Sittings) -> None:
    _shop(day, named=True)
    for to in (OWNER_PHONE, NAMED[0]):
        day.two_ask_and_one_of_them_is_nobody(to=to, again=True)
        _rest(day, 601)
