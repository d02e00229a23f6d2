"""Hears that something is wrong, at a terminal or everywhere, and opens a case where a person must act."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.dispatch import receiver
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from portal.alarms import alarm_raised
from portal.audit import Tag
from recovery.desk.tickets import open_about_terminal, open_for_staff
from terminals.alerts import alert_raised
from terminals.models import TerminalAlert

STEP = "tamper"
GUARD = "guard"
# What is said to staff about each alarm: the subject and what to do.
ALARMS = {
    Tag.MONEY_SPENT: (
        gettext_lazy("The day's money for texts is spent"),
        gettext_lazy(
            "Strangers get no more codes by text until 00:00 UTC; a fifth is kept for owners at a terminal"
            " and for notices. Look for what used it up before you widen the budget."
        ),
    ),
    Tag.TRAIL_UNSIGNED: (
        gettext_lazy("The audit trail is not being signed"),
        gettext_lazy(
            "Events wait for their link for longer than ten minutes, or the worker has no key to sign the"
            " chain with. Until that is mended nobody can prove that new rows were left alone. See Audit"
            " trail in the operations manual."
        ),
    ),
    Tag.GATEWAY_STOPPED: (
        gettext_lazy("A gateway does not work"),
        gettext_lazy(
            "Five hand-overs in a row failed. While another can carry, it rests and is tried by one message a"
            " minute; it goes on by itself. See Carriers in the support desk for which one and why."
        ),
    ),
    Tag.TEXTS_STOPPED: (
        gettext_lazy("Texts are stopped: hardly any code is typed back"),
        gettext_lazy(
            "Of the last hundred codes fewer than thirty were typed back: somebody makes us send texts, or"
            " they do not arrive. Strangers get no texts now; ten trials pass every ten minutes, and texts go"
            " on by themselves when three of them are typed back. Look at the carrier and at the address"
            " blocks of today's recoveries."
        ),
    ),
    Tag.DIRECTORY_DUE: (
        gettext_lazy("Entries of the contact directory want to be confirmed again"),
        gettext_lazy(
            "In two weeks they are over, and merchants read that nobody has checked them for long. In Contact"
            " directory choose the state “over, or over in two weeks”, look each line up, and confirm it;"
            " what you entered yourself somebody else confirms."
        ),
    ),
    Tag.DESK_MISUSED: (
        gettext_lazy("Somebody at the desk tried what nobody may"),
        gettext_lazy(
            "A reset of one's own shop, one after changing how the shop is reached, a yes to one's own"
            " request, a request changed under the second person's eyes, or more than 20 resets in a day."
            " It was refused. See recovery:desk:misused in the audit trail for who and which case, and talk"
            " to them."
        ),
    ),
    Tag.SUPERUSER_IN: (
        gettext_lazy("A superuser has signed in"),
        gettext_lazy(
            "Superusers give roles and mend what nobody else can; daily work is done with a role. Who"
            " it was says portal:account:superuser-signed-in in the audit trail. If nobody expected it,"
            " take the account away and look at what it did."
        ),
    ),
    Tag.CALENDAR_ENDS: (
        gettext_lazy("Next year's public holidays are not known yet"),
        gettext_lazy(
            "Until they are, only Saturdays and Sundays are free days for the clocks of cases. Have the"
            " newest release of the package chinesecalendar installed, or enter the days under Days of the"
            " calendar."
        ),
    ),
    Tag.DESK_UNHEARD: (
        gettext_lazy("A case runs late, and nobody could be told"),
        gettext_lazy(
            "The chain of steps ended at nobody with a phone or a mail address: nobody has the case, nobody"
            " is on duty, or a group is empty. Enter who is on duty under Duties, and look at the steps when"
            " a case runs late; recovery:desk:unheard in the audit trail says which case it was."
        ),
    ),
    Tag.GUESSING_ALARM: (
        gettext_lazy("Codes are being guessed everywhere"),
        gettext_lazy(
            "The day's budget of wrong codes is used up. Until it begins anew a text alone lets nobody in:"
            " owners need the terminal or support. Look at the address blocks of today's recoveries and shut"
            " out at the proxy those that guess."
        ),
    ),
}


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


@receiver(alarm_raised, dispatch_uid="recovery-alarms-for-all")
def open_case_for_all(sender: Any, tag: Tag, **_more: Any) -> None:
    """A case for what concerns everybody, with what to do about it."""
    with override(settings.LANGUAGE_CODE):
        subject, text = ALARMS[tag]
        open_for_staff(GUARD, str(subject), str(text))
