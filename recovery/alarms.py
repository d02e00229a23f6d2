"""Hears that something is wrong with a terminal and, where a person has to act, opens a case."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.dispatch import receiver
from django.utils.translation import gettext as _
from django.utils.translation import override

from recovery.tickets import open_about_terminal
from terminals.alerts import alert_raised
from terminals.models import TerminalAlert

STEP = "tamper"


@receiver(alert_raised, dispatch_uid="recovery-alarms")
def open_case(sender: Any, alert: TerminalAlert, **_more: Any) -> None:
    """A case for a terminal that was opened by force; other alerts wait on the desk of alerts."""
    if alert.kind != TerminalAlert.Kind.TAMPER:
        return
    terminal = alert.terminal
    facts = {"terminal": str(terminal), "store": terminal.store.name, "serial": terminal.serial}
    with override(settings.LANGUAGE_CODE):
        open_about_terminal(
            terminal,
            STEP,
            _("%(terminal)s reports that it was opened by force") % facts,
            _(
                "%(terminal)s in %(store)s (serial number %(serial)s) reports that it was opened by force."
                " Nothing is sent to it any more. Call the merchant, have the machine looked at and either"
                " clear the alert with what was found, or stop the terminal."
            )
            % facts,
        )
