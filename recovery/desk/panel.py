"""Where the verification of a caller stands, for the pages that show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal import challenges
from portal.models import User
from recovery.authority import decide
from recovery.desk import assisted, standing, tickets, words
from recovery.desk.refusals import words as refused
from recovery.desk.verification import is_agents
from recovery.gates.decide import Decision, Given
from recovery.gates.evidence import Stated, checked
from recovery.gates.floors import FULL, HALF, Method
from recovery.models import Recovery, Statement, Ticket, Verification
from recovery.ways import addresses_of, proofs_of

State = Verification.State
HOW: dict[str, str | Promise] = {
    Method.SMS: gettext_lazy("Code to the registered phone"),
    Method.VOICE: gettext_lazy("Code to the registered phone"),
    Method.EMAIL: gettext_lazy("Code to an owner's mailbox"),
    Method.CONTACT: gettext_lazy("Code of a recovery contact"),
    Method.POSSESSION: gettext_lazy("Stands at the terminal"),
    Method.SUPPORT: gettext_lazy("Your own word, taken together"),
    Stated.CALL_BACK: gettext_lazy("Called back on the registered phone"),
    Stated.DOCUMENT: gettext_lazy("Document"),
    Stated.IN_PERSON: gettext_lazy("Here in person"),
    Stated.ATTESTED: gettext_lazy("The acquirer attests it"),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence as the page shows it."""

    label: str
    worth: str
    counts: bool
    note: str = ""


def worth_words(worth: int) -> str:
    """A strength in words."""
    if worth >= FULL:
        return _("counts in full")
    return _("counts half") if worth == HALF else _("counts nothing here")


def panel(ticket: Ticket, agent: User) -> dict[str, Any]:
    """What the ticket's page includes (`admin/recovery/verification/panel.html`): the newest, its step."""
    newest = Verification.objects.filter(ticket=ticket).select_related("recovery", "agent").first()
    stands = state_of(newest) if newest is not None else ""
    return {
        "verification_panel": {
            "verification": newest,
            "state": stands,
            "mine": is_agents(ticket, agent),
            "may_approve": newest is not None
            and stands == State.ASKED
            and agent.has_perm(assisted.APPROVE)
            and not assisted.is_same(agent, newest.agent),
            "words": words.in_both(ticket.number),
            "ticket": ticket,
        }
    }


def state_of(verification: Verification) -> str:
    """Its state as it is now: what has run out is over, whatever the row says."""
    past = verification.expires_at <= timezone.now()
    return State.OVER if past and verification.state in standing.LIVING else str(verification.state)


def page(verification: Verification) -> dict[str, Any]:
    """Everything the page of one verification shows."""
    recovery = verification.recovery
    decision = decide(recovery, recovery.operator_number)
    given, target = proofs_of(recovery), standing.target_of(recovery)
    stands = state_of(verification)
    command = recovery.command
    return {
        "verification": verification,
        "state": stands,
        "state_words": State(stands).label,
        "recovery": recovery,
        "target": target.value,
        "pieces": _pieces(verification, given) if stands in standing.LIVING else [],
        "enough": decision.allowed or decision.reason == "approval",
        "waits": decision.reason == "approval",
        "why_not": _why_not(decision),
        "words": words.in_both(verification.ticket.number),
        "mailboxes": _ways(recovery, Method.EMAIL),
        "contacts": _ways(recovery, Method.CONTACT),
        "code_wait": challenges.next_send_in(recovery.challenge) if recovery.challenge.sends else 0,
        "code_left": challenges.sends_left(recovery.challenge),
        "command": command,
        "digest": assisted.digest_of(verification, command) if command is not None else "",
    }


def _ways(recovery: Recovery, method: Method) -> list[Any]:
    return addresses_of(recovery.merchant, method) if recovery.merchant is not None else []


def _why_not(decision: Decision) -> str:
    return "" if decision.allowed or decision.reason == "approval" else refused(decision.reason)


def _pieces(verification: Verification, given: tuple[Given, ...]) -> list[Piece]:
    target = standing.target_of(verification.recovery)
    shown = [each for each in given if each.method is not Method.SUPPORT]
    pieces = [
        Piece(str(HOW[each.method]), worth_words(each.worth(target)), each.worth(target) > 0)
        for each in shown
    ]
    said = standing.said(verification)
    stated = Statement.objects.filter(verification=verification)
    pieces += [Piece(str(HOW[row.what]), "", counts=False, note=_note(row)) for row in stated]
    if stated:
        own = checked(shown, said, target).worth(target)
        pieces.append(Piece(str(HOW[Method.SUPPORT]), worth_words(own), own > 0))
    return pieces


def _note(row: Statement) -> str:
    """What is to be said about a statement by itself; its worth is told for all of them together."""
    if row.what == Stated.CALL_BACK:
        return _("adds nothing to a code to the same phone")
    return document_words(row) if row.what == Stated.DOCUMENT else ""


def document_words(row: Statement) -> str:
    """What came of a document."""
    told = {None: _("nothing on file yet"), True: _("as on file"), False: _("not what is on file")}
    return f"…{row.last_four}, {told[row.matches]}"


def initial(ticket: Ticket) -> dict[str, str]:
    """Which terminal and operator the ticket is about, as far as it tells."""
    recovery = ticket.recovery
    if recovery is None:
        return {}
    operator = recovery.operator_number or tickets.last_refused(recovery)
    terminal = recovery.terminal.number if recovery.terminal is not None else ""
    return {"terminal": terminal, "operator": operator}
