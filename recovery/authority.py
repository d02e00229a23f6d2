"""Whether an operator may be reset in this journey: the one yes that every way to a command needs."""

from __future__ import annotations

from django.db.models import QuerySet

from portal.audit import Tag, record
from portal.models import Merchant
from recovery import gates
from recovery.doubts import doubt
from recovery.models import Recovery
from terminals.models import Operator, Terminal


class NotAllowed(Exception):
    """The step is refused. `reason` is a stable key.

    One of terminal, operator, merchant, possession, gate and doubt.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def terminals_of(recovery: Recovery) -> QuerySet[Terminal]:
    """The terminals this recovery may speak to: active, unopened ones of the merchant that was proved."""
    return Terminal.objects.filter(
        store__merchant=recovery.merchant, state=Terminal.State.ACTIVE, tampered_at__isnull=True
    ).select_related("store", "model", "status")


def operator_of(recovery: Recovery) -> Operator | None:
    """The operator that was chosen, as the row says."""
    if recovery.terminal_id is None:
        return None
    return Operator.objects.filter(terminal_id=recovery.terminal_id, number=recovery.operator_number).first()


def authorise(recovery: Recovery, number: str) -> Terminal:
    """The one place that says yes to resetting an operator; whatever the door.

    Returns the terminal as it is now. Raises NotAllowed with the first reason that stands against it.
    """
    merchant = recovery.merchant
    if merchant is None or merchant.status != Merchant.Status.ACTIVE or recovery.proved_at is None:
        raise NotAllowed("merchant")
    # A phone that was replaced since, perhaps because it was stolen, proves nothing any more.
    if merchant.phone != recovery.phone or not _asker_is_welcome(recovery):
        raise NotAllowed("merchant")
    terminal = terminals_of(recovery).filter(pk=recovery.terminal_id).first()
    if terminal is None:
        raise NotAllowed("terminal")
    if not Operator.objects.filter(terminal=terminal, number=number).exists():
        raise NotAllowed("operator")
    if recovery.request_id is not None and recovery.possession_at is None:
        raise NotAllowed("possession")
    if not gates.for_operator(number, proofs_of(recovery)).open:
        note(Tag.RECOVERY_REFUSED, recovery, operator=number)
        raise NotAllowed("gate")
    if doubt(recovery) is not None:
        note(Tag.RECOVERY_REFUSED, recovery, operator=number, reason="text_alone")
        raise NotAllowed("doubt")
    return terminal


def proofs_of(recovery: Recovery) -> frozenset[str]:
    """The proofs that this recovery has given, as the row says; possession is of one unit only."""
    asked_at = recovery.request.terminal_id if recovery.request else None
    given = {
        gates.SMS: recovery.proved_at is not None,
        gates.POSSESSION: recovery.possession_at is not None and asked_at == recovery.terminal_id,
    }
    return frozenset(proof for proof, yes in given.items() if yes)


def _asker_is_welcome(recovery: Recovery) -> bool:
    """Whether the owner who started it, if one did, still has a living account of the shop."""
    owner = recovery.signed_in_user
    return owner is None or (owner.is_active and owner.merchant_id == recovery.merchant_id)


def note(tag: Tag, recovery: Recovery, **facts: str) -> None:
    """Tell the audit trail what this recovery did."""
    record(tag, actor=actor_of(recovery), merchant=recovery.merchant, subject=recovery.id, **facts)


def actor_of(recovery: Recovery) -> str:
    """Who acts, for the audit trail: the owner who signed in, or the recovery itself."""
    if recovery.signed_in_user_id is not None:
        return f"user:{recovery.signed_in_user_id}"
    return f"recovery:{recovery.id}"
