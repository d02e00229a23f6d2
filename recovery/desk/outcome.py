"""A case closes itself once the reset that its agent started has been carried out at the terminal."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from recovery.desk import standing, tickets
from recovery.models import Recovery, TicketEntry, Verification


def close_ticket_of(recovery: Recovery) -> bool:
    """Close the case that a carried-out reset was started from, with a line that says why; whether it did.

    One whose next caller is being verified already stays open, and so does one that somebody merely got
    stuck in: nobody has answered what was asked there.
    """
    if recovery.door != Recovery.Door.SUPPORT:
        return False
    verification = Verification.objects.filter(recovery=recovery).select_related("ticket__merchant").first()
    if verification is None or _goes_on(verification):
        return False
    ticket = verification.ticket
    with transaction.atomic():
        if not tickets.end(ticket, "system"):
            return False
        with override(settings.LANGUAGE_CODE):
            said = _("The terminal has carried the reset out, and the case closed itself.")
        ticket.entries.create(author=TicketEntry.Author.SYSTEM, text=said)
    return True


def _goes_on(verification: Verification) -> bool:
    """Whether another reset of the same case is being prepared or is on its way."""
    others = Verification.objects.filter(ticket=verification.ticket_id).exclude(pk=verification.pk)
    prepared = Q(state__in=standing.LIVING, expires_at__gt=timezone.now())
    on_its_way = Q(state=Verification.State.STARTED, recovery__state=Recovery.State.DISPATCHED)
    return others.filter(prepared | on_its_way).exists()
