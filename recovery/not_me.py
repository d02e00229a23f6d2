"""Nobody of the shop wanted it (“this wasn't me”): what is not applied is taken back, the operator locked."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from portal import changes
from portal.audit import Tag, record
from portal.models import Merchant
from portal.notices import tell_shop
from recovery.authority import actor_of, note
from recovery.desk.tickets import open_about_shop, open_about_terminal
from recovery.models import Recovery
from terminals import commands
from terminals.models import Command, Terminal

FROZEN = timedelta(hours=1)
STEP = "not_me"


def disown(recovery: Recovery) -> bool:
    """Undo what can be undone of a reset that its shop did not want, and raise the alarm.

    Whether this call froze the shop; when it was frozen already nobody is told a second time.
    """
    if recovery.merchant is None or recovery.terminal is None or recovery.command_id is None:
        return False
    return stop_all(recovery.merchant, actor_of(recovery), recovery)


def stop_all(merchant: Merchant, by: str, recovery: Recovery | None = None) -> bool:
    """Withdraw what is not applied, lock the recovery's operator, freeze the shop, tell all, open a case.

    Whether this call froze the shop; when it was frozen already nobody is told a second time.
    """
    now = timezone.now()
    free = Merchant.objects.filter(pk=merchant.pk).exclude(frozen_until__gt=now)
    with transaction.atomic():
        first = free.update(frozen_until=now + FROZEN) == 1
        changes.cancel_pending(merchant)
        if first:
            subject = recovery.id if recovery is not None else ""
            record(Tag.RECOVERY_DISOWNED, actor=by, merchant=merchant, subject=subject)
            tell_shop(merchant, "stopped", contacts=True)
            _open_case(merchant, recovery)
    for command_id in _under_way(merchant):
        commands.cancel(command_id, by)
    if first and recovery is not None and recovery.terminal is not None and recovery.operator_number:
        _lock(recovery, recovery.terminal, by)
    return first


def frozen_until(merchant: Merchant | None) -> datetime | None:
    """Until when nobody of this shop resets anything, if that is so."""
    until = merchant.frozen_until if merchant is not None else None
    return until if until is not None and until > timezone.now() else None


def _under_way(merchant: Merchant) -> list[str]:
    open_ones = Recovery.objects.filter(merchant=merchant, state=Recovery.State.DISPATCHED)
    return [str(pk) for pk in open_ones.values_list("command_id", flat=True) if pk]


def _lock(recovery: Recovery, terminal: Terminal, by: str) -> None:
    """Lock the operator, wherever the reset has got to; where that cannot be sent, support acts."""
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


def _open_case(merchant: Merchant, recovery: Recovery | None) -> None:
    with override(settings.LANGUAGE_CODE):
        if recovery is None or recovery.terminal is None:
            open_about_shop(merchant, STEP, _("“This wasn't me”: %(shop)s") % {"shop": merchant}, _(CHANGE))
            return
        facts = {
            "terminal": str(recovery.terminal),
            "operator": recovery.operator_number,
            "number": recovery.number,
        }
        subject = _("“This wasn't me”: operator %(operator)s on %(terminal)s") % facts
        open_about_terminal(recovery.terminal, STEP, subject, _(RESET) % facts)


RESET = gettext_noop(
    "Somebody says that the reset %(number)s of operator %(operator)s on %(terminal)s was not"
    " theirs. What was not applied is withdrawn, the operator is being locked, and for an hour"
    " nobody of this shop resets anything. Call the registered phone, find out who it was, and"
    " look at the changes of addresses before you unlock."
)
CHANGE = gettext_noop(
    "Somebody who proved an address of this shop says that what we told them of was not theirs. What was not"
    " applied is withdrawn, and for an hour nobody of this shop resets anything or changes how it is reached."
    " Call the registered phone, and look at the changes of addresses and at the owners' sessions."
)
