"""Hears that a change was undone by whoever was told of it, and opens a case."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.dispatch import receiver
from django.utils.translation import gettext as _
from django.utils.translation import override

from portal.models import AddressChange
from portal.vetoes import vetoed
from recovery.desk.tickets import open_about_shop

STEP = "veto"


@receiver(vetoed, dispatch_uid="recovery-vetoes")
def open_case(sender: Any, change: AddressChange, **_more: Any) -> None:
    """A case for a shop where somebody changed what another one had to undo."""
    with override(settings.LANGUAGE_CODE):
        facts = {"number": change.number, "what": change.get_what_display()}
        open_about_shop(
            change.merchant,
            STEP,
            _("A change was undone: %(number)s") % facts,
            _(
                "Whoever was told of the change %(number)s (%(what)s) says that it was not theirs and"
                " has undone it. Somebody sat at an owner's session, or at ours. Call the registered"
                " phone, have the owners end sessions they do not know and change their password, and"
                " look at who asked for the change."
            )
            % facts,
        )
