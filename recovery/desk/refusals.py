"""Why the desk may not do something, in the words its people read."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

WORDS: Mapping[str, str | Promise] = {
    "ticket": _("Take the case first: only its agent verifies the caller, and only while it is open."),
    "own": _("This shop is your own, or has your phone or mailbox on file. Hand the case to somebody else."),
    "changed": _(
        "You changed how this shop is reached less than 72 hours ago. Somebody else has to do this."
    ),
    "terminal": _("No such terminal of this shop is active and sound."),
    "operator": _("The terminal has no such operator."),
    "waiting": _("A second person is being asked about this case already."),
    "over": _("That is over, or somebody was faster. Look at where it stands now."),
    "stale": _("Prove it once more that it is you: your last proof is more than ten minutes old."),
    "support": _("The caller is not verified: the evidence does not reach the threshold."),
    "proof": _("The rules of this shop ask for more than what was proved."),
    "approval": _("A second person has to say yes first."),
    "limit": _("You have started 20 resets today. Somebody else has to do this one."),
    "number": _("Have the registered number shown first, and call that one."),
    "document": _("The check digit is wrong. Look at the document again."),
    "same_person": _("The second person has to be somebody else than who asks and who has the case."),
    "attested": _("Who attested the caller is not the second person as well."),
    "may_not": _("You may not be the second person."),
    "edited": _("The request is not the one you were shown. Nothing was done; look at it again."),
    "merchant": _("The shop is not active, or its registered phone is another one now."),
    "frozen": _("Somebody of the shop said “this wasn't me”: for an hour nobody resets anything there."),
    "guarded": _("That is not possible any more."),
}


def words(reason: str) -> str:
    """What to say about a refusal; what a terminal cannot be sent has one sentence for all."""
    return str(WORDS.get(reason, _("The terminal cannot be sent this now.")))
