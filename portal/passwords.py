"""What a portal password may not be: breached, typical, or about the shop; judged here, nobody is asked.

The lists of zxcvbn (30,000 breached passwords, names, words, walks over the keyboard) come with the package,
so nothing leaves the machine. They know little Chinese; what is typical there is added.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

from portal.models import Merchant, User

# Guesses that the password has to outlast. At the door there are sixty an hour, against a stolen hash of ours
# some hundred a second for each core.
GUESSES = 10**10
# The estimate takes a second for long tangles. What is not strong in its first 32 signs need not be.
JUDGED = 32
SHORTEST_WORD = 4
SHORTEST_HAN = 2
# Numbers that sound like words, what one loves, the first rows of keys, and the names of half the country.
TYPICAL = (
    "woaini 5201314 woaini1314 iloveyou1314 1314520 521521 520520 7758521 wo aini woaiwojia woshishui "
    "woaizhongguo zhongguo beijing shanghai guangzhou shenzhen mima mima123 woailaopo laopo laogong baobao "
    "xiaoxiao gongxifacai facai zhaocai jinbao caishen dahai long feng qq123456 qwe123 asd123 zxc123 "
    "aini1314 123qwe 1qaz 2wsx 3edc 4rfv 5tgb 6yhn 1qaz2wsx3edc qazwsxedc q1w2e3r4 a1b2c3d4 147258369 "
    "789456123 wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he gao lin luo wangwei "
    "zhangwei zhangmin lina liming wangfang liuyang chenjing lijing wangjing zhangli wangmin lijun zhangyong "
    "posji pos shouyin shoukuan dianzhu laoban dianpu rekey"
).split()


class GuessablePasswordValidator:
    """Refuses what somebody with lists of leaked passwords, names and keyboard walks soon guesses."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError."""
        plain = unicodedata.normalize("NFKC", password)[:JUDGED]
        if not plain or guesses(plain, [*words_about(user), *TYPICAL]) < GUESSES:
            raise ValidationError(
                _("This is easy to guess: it is on lists of leaked passwords, or put together from them."),
                code="guessable",
            )

    def get_help_text(self) -> str:
        """For forms that list the rules."""
        return _("Nothing from lists of leaked passwords, no names, no walks over the keyboard.")


def guesses(plain: str, words: list[str]) -> float:
    """How many guesses somebody needs who has the lists, and these words before them."""
    return float(zxcvbn(plain, user_inputs=words)["guesses"])


class ShopWordsValidator:
    """Refuses what anybody who knows the shop tries first: its names, its numbers, the account's name."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError."""
        plain = folded(password)
        if any(word in plain for word in words_about(user)):
            raise ValidationError(
                _("Leave out the shop's name and numbers, the phone and the name of the account."),
                code="shop",
            )

    def get_help_text(self) -> str:
        """For forms that list the rules."""
        return _("Nothing of the shop's name, its numbers, its phone or the name of the account.")


def words_about(user: User | None) -> list[str]:
    """What people who know this person's shop know, folded; short words are left out."""
    facts = [] if user is None else list(_facts(user))
    return [word for word in map(folded, facts) if len(word) >= _shortest(word)]


def _facts(user: User) -> Iterator[str]:
    yield user.get_username()
    yield from (user.phone, user.phone.removeprefix("+86"), user.phone[-8:])
    merchant: Merchant | None = user.merchant
    if merchant is None:
        return
    yield from (merchant.legal_name, merchant.number, merchant.number[-8:])
    yield from (merchant.phone.removeprefix("+86"), merchant.phone[-8:])
    yield from merchant.stores.values_list("name", flat=True)


def folded(text: str) -> str:
    """Without case, width, spaces and signs."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in plain if sign.isalnum())


def _shortest(word: str) -> int:
    return SHORTEST_WORD if word.isascii() else SHORTEST_HAN
