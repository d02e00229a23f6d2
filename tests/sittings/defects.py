"""Defects that the flow might have, planted to see that the machine finds each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from django.core.exceptions import ValidationError

from portal import challenges, changes, limits, passkeys, recovery_codes
from portal.addresses import digest_of
from portal.challenges import Outcome
from portal.models import Address, Challenge, Passkey
from recovery import authority, endings, forms, not_me
from recovery.gates import floors, policy
from recovery.gates.floors import FULL, Block, Doubt
from tests.sittings import openings
from tests.sittings.world import post

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Defect:
    """How to plant it, and the opening that brings it to light."""

    plant: Plant
    opening: openings.Opening


DEFECTS: Final[dict[str, Defect]] = {}


def defect(name: str, opening: openings.Opening) -> Callable[[Plant], Plant]:
    """One more."""

    def note(plant: Plant) -> Plant:
        DEFECTS[name] = Defect(plant, opening)
        return plant

    return note


@defect("the supervisor needs one proof only", openings.the_supervisor_with_a_text_and_an_app)
def _one_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(policy.Policy, "needs", lambda self, target: 1)


@defect("maintenance is an operator like any other", openings.maintenance_with_a_text_and_an_app)
def _maintenance(patch: pytest.MonkeyPatch) -> None:
    patch.delitem(floors.TARGET_OF, "99")


@defect("a code opens any recovery", openings.the_code_that_another_browser_got)
def _any_code(patch: pytest.MonkeyPatch) -> None:
    check = challenges.check

    def lax(challenge_id: str, purpose: str, subject: str, text: str, *, accept: bool = True) -> Outcome:
        known = accept and any(letter.code == text for letter in post.letters)
        judged = check(challenge_id, purpose, subject, text, accept=accept)
        return Outcome(True, "ok", 0) if known and judged.reason == "wrong" else judged

    patch.setattr(challenges, "check", lax)


@defect("what was changed lately counts at once", openings.the_supervisor_soon_after_a_new_phone)
def _held(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(floors.LEFT, Doubt.HELD, (FULL, FULL))


@defect(
    "a phone that nobody confirmed for long counts fully", openings.the_supervisor_with_a_phone_that_is_old
)
def _stale(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(floors.LEFT, Doubt.STALE, (FULL, FULL))


@defect("whoever did not ask for it stops nothing", openings.it_was_not_us_and_one_tries_on)
def _not_me(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(not_me, "_under_way", lambda merchant: [])


@defect("a frozen shop is not frozen", openings.it_was_not_us_and_one_tries_on)
def _frozen(patch: pytest.MonkeyPatch) -> None:
    blocks = authority._blocks
    patch.setattr(authority, "_blocks", lambda *given: blocks(*given) - {Block.FROZEN})


@defect("asking again gives the tries back", openings.wrong_codes_and_the_code_once_more)
def _tries(patch: pytest.MonkeyPatch) -> None:
    take_send = challenges.take_send

    def generous(challenge_id: str, channel: str = "") -> bool:
        Challenge.objects.filter(pk=challenge_id).update(attempts=0)
        return take_send(challenge_id, channel)

    patch.setattr(challenges, "take_send", generous)


@defect("there is no last try", openings.wrong_codes_and_the_code_once_more)
def _attempts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(challenges, "ATTEMPTS", 9)


@defect("nothing ends a recovery that nobody goes on with", openings.the_code_that_another_browser_got)
def _no_clock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(endings, "give_up_expired", lambda now: 0)


@defect("a code on paper is not used up", openings.one_card_of_paper)
def _paper(patch: pytest.MonkeyPatch) -> None:
    def use(merchant: Any, typed: str, used_for: str) -> bool:
        digest = recovery_codes._digest(merchant, recovery_codes.read(typed))
        return recovery_codes._alive(merchant).filter(digest=digest).exists()

    patch.setattr(recovery_codes, "use", use)


@defect("the phone may be changed under a recovery", openings.a_new_phone_while_somebody_recovers)
def _underway(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes, "_is_recovering", lambda merchant: False)


@defect("an old tab speaks about what is chosen now", openings.two_tabs_of_one_browser)
def _old_tab(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(forms.AboutForm, "clean", forms.PlainForm.clean)


@defect("a phone gets as many texts as anybody likes", openings.many_texts)
def _texts(patch: pytest.MonkeyPatch) -> None:
    for name in ("sms-per-phone", "sms-per-merchant"):
        patch.setitem(limits.GUARDS, name, "50/day")


@defect("a passkey is believed unread", openings.a_passkey_that_is_nobodys)
def _unread(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(passkeys, "verify", lambda purpose, subject, response: Passkey.objects.first())


@defect("a mailbox of today opens everything", openings.the_supervisor_with_a_new_mailbox)
def _new_mailbox(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(floors.LEFT, Doubt.HELD, (FULL, FULL))


@defect("whoever was told of a change cannot undo it", openings.the_old_phone_undoes_a_change)
def _no_veto(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes, "_undo", lambda change, now: None)


@defect("the first page says which mailboxes are on file", openings.who_is_known_and_who_is_not)
def _told(patch: pytest.MonkeyPatch) -> None:
    clean = forms.MailboxForm.clean_email

    def honest(form: Any) -> str:
        email: str = clean(form)
        if not Address.objects.filter(digest=digest_of(email)).exists():
            raise ValidationError("There is no such mailbox.")
        return email

    patch.setattr(forms.MailboxForm, "clean_email", honest)
