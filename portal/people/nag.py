"""What an owner's first page reminds of: too few ways, old confirmations, a card that was used."""

from __future__ import annotations

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from portal import addresses, recovery_codes
from portal.models import Merchant


def nags(merchant: Merchant) -> list[tuple[str, str, str]]:
    """What is the matter, the one step, and where that is done; the most pressing first."""
    ways, now = addresses.ways(merchant), timezone.now()
    due = [way.name for way in ways if not way.confirmed]
    sheet = recovery_codes.sheet_of(merchant)
    found = []
    if len(ways) < addresses.WANTED:
        text = _("If the phone is lost, too few other ways lead in")
        found.append((text, _("Add an address or a person"), reverse("portal:address_new")))
    if merchant.phone and addresses.is_due(merchant.phone_confirmed_at or merchant.created_at, now):
        due.insert(0, _("the registered phone"))
    if due:
        text = _("Not confirmed for long: %(names)s") % {"names": ", ".join(due)}
        found.append((text, _("Confirm them"), reverse("portal:proofs")))
    if sheet is not None and sheet.used_at is not None:
        text = _("Recovery codes were used: %(left)s are left") % {"left": sheet.left}
        found.append((text, _("Make a new card"), reverse("portal:paper")))
    return found
