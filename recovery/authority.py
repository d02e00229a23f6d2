"""Whether an operator may be reset in this journey: the one yes that every way to a command needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from django.db.models import QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from portal.models import Merchant
from recovery.desk import standing
from recovery.gates.decide import Decision, Subject, Verdict, authorize
from recovery.gates.floors import TARGET_OF, Block, Door, Target
from recovery.gates.policy import STANDARD
from recovery.models import Recovery
from recovery.policies import policy_of
from recovery.ways import proofs_of, terminals_in_reach, ways_of
from terminals.models import Operator, Terminal

# Reasons that have a page of their own, which says what would help.
TO_PROVE = frozenset({"proof", "approval", "frozen"})


class NotAllowed(Exception):
    """The step is refused. `reason` is a stable key.

    One of merchant, frozen, terminal, operator, possession, proof and approval.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def terminals_of(recovery: Recovery) -> QuerySet[Terminal]:
    """The terminals this recovery may speak to: those in reach of the merchant that was proved."""
    return terminals_in_reach(recovery.merchant).select_related("store", "model", "status")


def operator_of(recovery: Recovery) -> Operator | None:
    """The operator that was chosen, as the row says."""
    if recovery.terminal_id is None:
        return None
    return Operator.objects.filter(terminal_id=recovery.terminal_id, number=recovery.operator_number).first()


def authorise(recovery: Recovery, number: str, *, waits: bool = False) -> Terminal:
    """The one place that says yes to resetting an operator; whatever the door.

    `waits` is for a command that goes nowhere before a second person's yes: it may be written down when
    nothing but that yes is missing. Returns the terminal as it is now. Raises NotAllowed with the first
    reason that stands against it.
    """
    decision = decide(recovery, number)
    terminal = terminals_of(recovery).filter(pk=recovery.terminal_id).first()
    wanted = Verdict.APPROVAL if waits else Verdict.ALLOWED
    if decision.verdict is wanted and terminal is not None:
        return terminal
    if decision.verdict in (Verdict.PROOF, Verdict.APPROVAL):
        note(Tag.RECOVERY_REFUSED, recovery, operator=number, reason=decision.reason)
    raise NotAllowed(decision.reason or Block.TERMINAL)


def decide(recovery: Recovery, number: str) -> Decision:
    """What the gates say about this operator, for what is proved and stands in the rows now."""
    return authorize(replace(_facts(recovery), target=target_of(number), blocks=_blocks(recovery, number)))


def needing_more(recovery: Recovery, numbers: Iterable[str]) -> set[str]:
    """The operators, of these, that the proofs given so far do not open."""
    facts = _facts(recovery)
    return {number for number in numbers if not authorize(replace(facts, target=target_of(number))).allowed}


def target_of(number: str) -> Target:
    """What an operator's number stands for."""
    return TARGET_OF.get(number, Target.OPERATOR)


def _facts(recovery: Recovery) -> Subject:
    merchant = recovery.merchant
    return Subject(
        Target.OPERATOR,
        _door_of(recovery),
        proofs_of(recovery),
        ways=ways_of(merchant) if merchant is not None else (),
        policy=policy_of(merchant) if merchant is not None else STANDARD,
        approved=recovery.door == Recovery.Door.SUPPORT and standing.is_approved(recovery),
    )


def _door_of(recovery: Recovery) -> Door:
    if recovery.door == Recovery.Door.SUPPORT:
        return Door.SUPPORT
    if recovery.request_id is not None:
        return Door.TERMINAL
    if recovery.offline:
        return Door.OFFLINE
    return Door.OWNER if recovery.signed_in_user_id is not None else Door.BROWSER


def _blocks(recovery: Recovery, number: str) -> frozenset[Block]:
    merchant = recovery.merchant
    # A phone that was replaced since, perhaps because it was stolen, proves nothing any more.
    # Where a mailbox or a passkey was first, `ways.proofs_of` looks whether that still holds.
    same = merchant is not None and recovery.phone in ("", merchant.phone)
    mine = same and _asker_is_welcome(recovery)
    if merchant is None or not mine or merchant.status != Merchant.Status.ACTIVE:
        return frozenset({Block.MERCHANT})
    operators = Operator.objects.filter(terminal_id=recovery.terminal_id, number=number)
    stands = {
        Block.FROZEN: merchant.frozen_until is not None and merchant.frozen_until > timezone.now(),
        Block.TERMINAL: not terminals_of(recovery).filter(pk=recovery.terminal_id).exists(),
        Block.OPERATOR: not operators.exists(),
    }
    return frozenset(block for block, against in stands.items() if against)


def _asker_is_welcome(recovery: Recovery) -> bool:
    """Whether the owner who started it, if one did, still has a living account of the shop."""
    owner = recovery.signed_in_user
    return owner is None or (owner.is_active and owner.merchant_id == recovery.merchant_id)


def note(tag: Tag, recovery: Recovery, **facts: str) -> None:
    """Tell the audit trail what this recovery did."""
    record(tag, actor=actor_of(recovery), merchant=recovery.merchant, subject=recovery.id, **facts)


def actor_of(recovery: Recovery) -> str:
    """Who acts, for the audit trail: the agent, the owner who signed in, or the recovery itself."""
    if recovery.door == Recovery.Door.SUPPORT and (agent := standing.agent_of(recovery)):
        return f"user:{agent}"
    if recovery.signed_in_user_id is not None:
        return f"user:{recovery.signed_in_user_id}"
    return f"recovery:{recovery.id}"
