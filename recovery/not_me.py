"""A reset that nobody of the shop wanted: taken back, the operator locked, no resets for an hour."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from portal import changes
from portal.audit import Tag
from portal.models import Merchant
from portal.notices import tell_shop
from recovery.authority import actor_of, note
from recovery.models import Recovery
from recovery.tickets import open_about_terminal
from terminals import commands
from terminals.models import Command

FROZEN = timedelta(hours=1)
STEP = "not_me"


def disown(recovery: Recovery) -> bool:
    """Undo what can be undone of a reset that its shop did not want, and raise the alarm.

    Whether this call froze the shop; when it was frozen already nobody is told a second time.
    """
    merchant, terminal = recovery.merchant, recovery.terminal
    if merchant is None or terminal is None or recovery.command_id is None:
        return False
    now, by = timezone.now(), actor_of(recovery)
    free = Merchant.objects.filter(pk=merchant.pk).exclude(frozen_until__gt=now)
    with transaction.atomic():
        first = free.update(frozen_until=now + FROZEN) == 1
        changes.cancel_pending(merchant)
        if first:
            note(Tag.RECOVERY_DISOWNED, recovery, operator=recovery.operator_number)
            tell_shop(merchant, "stopped", contacts=True)
            _open_case(recovery)
    for command_id in _under_way(merchant):
        commands.cancel(command_id, by)
    if first:
        _lock(recovery, by)
    return first


def _under_way(merchant: Merchant) -> list[str]:
    open_ones = Recovery.objects.filter(merchant=merchant, state=Recovery.State.DISPATCHED)
    return [str(pk) for pk in open_ones.values_list("command_id", flat=True) if pk]


def _lock(recovery: Recovery, by: str) -> None:
    """Lock the operator, wherever the reset has got to; where that cannot be sent, support acts."""
    terminal = recovery.terminal
    assert terminal is not None
    try:
        commands.issue(
            terminal,
            Command.Kind.LOCK,
            operator_number=recovery.operator_number,
            requested_by=by,
            recovery_ref=recovery.id,
        )
    except commands.CannotIssue as refusal:
        note(Tag.RECOVERY_DISOWNED, recovery, not_locked=refusal.reason)


def _open_case(recovery: Recovery) -> None:
    terminal = recovery.terminal
    assert terminal is not None
    facts = {"terminal": str(terminal), "operator": recovery.operator_number, "number": recovery.number}
    with override(settings.LANGUAGE_CODE):
        open_about_terminal(
            terminal,
            STEP,
            _("“This wasn't me”: operator %(operator)s on %(terminal)s") % facts,
            _(
                "Somebody says that the reset %(number)s of operator %(operator)s on %(terminal)s was not"
                " theirs. What was not applied is withdrawn, the operator is being locked, and for an hour"
                " nobody of this shop resets anything. Call the registered phone, find out who it was, and"
                " look at the changes of addresses before you unlock."
            )
            % facts,
        )
