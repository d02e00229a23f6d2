"""What providers' refusals mean: what they ask of us, and what staff and whoever waits are told."""

from __future__ import annotations

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Action(StrEnum):
    """What a refusal asks of us."""

    RETRY = "retry"  # nothing went out; once more is safe
    BACK_OFF = "back_off"  # once more, but not at once
    UNKNOWN = "unknown"  # it may have gone out; once more with the same code, then leave it
    MARK_NUMBER = "mark_number"  # this number cannot be reached; offer another way
    STOP = "stop"  # once more would fail the same way


ACCOUNT = _("The provider does not accept our account. Check the credentials.")
UNREGISTERED = _("The provider knows no such text or signature of ours: register it there.")
LANDLINE = _("This is a landline; it cannot receive texts.")

# Twilio's and Aliyun's codes as their public documents describe them, and our own.
MEANINGS: dict[str, tuple[Action, str | Promise]] = {
    "20003": (Action.STOP, ACCOUNT),
    "20429": (Action.BACK_OFF, _("The provider asks us to slow down.")),
    "21211": (Action.MARK_NUMBER, _("This is not a number that can receive texts.")),
    "21408": (Action.STOP, _("Texts to this country are not switched on.")),
    "21610": (Action.MARK_NUMBER, _("The owner of this phone has opted out of our texts.")),
    "21614": (Action.MARK_NUMBER, LANDLINE),
    "21635": (Action.MARK_NUMBER, LANDLINE),
    "30003": (Action.RETRY, _("The phone is switched off or out of reach.")),
    "30005": (Action.MARK_NUMBER, _("This number does not exist.")),
    "30006": (Action.MARK_NUMBER, LANDLINE),
    "30007": (Action.STOP, _("The carrier filtered the message.")),
    "30008": (Action.RETRY, _("The carrier could not deliver it and does not say why.")),
    "InvalidAccessKeyId.NotFound": (Action.STOP, ACCOUNT),
    "SignatureDoesNotMatch": (Action.STOP, ACCOUNT),
    "isv.ACCOUNT_ABNORMAL": (Action.STOP, ACCOUNT),
    "isv.AMOUNT_NOT_ENOUGH": (Action.STOP, _("The account at the provider is empty.")),
    "isv.BUSINESS_LIMIT_CONTROL": (Action.STOP, _("The provider's own limit for this number is reached.")),
    "isv.DAY_LIMIT_CONTROL": (Action.STOP, _("The provider's own limit for the day is reached.")),
    "isv.MOBILE_NUMBER_ILLEGAL": (Action.MARK_NUMBER, _("This is not a number that can receive texts.")),
    "isv.OUT_OF_SERVICE": (Action.STOP, ACCOUNT),
    "isv.SMS_SIGNATURE_ILLEGAL": (Action.STOP, UNREGISTERED),
    "isv.SMS_TEMPLATE_ILLEGAL": (Action.STOP, UNREGISTERED),
    "isp.RAM_PERMISSION_DENY": (Action.STOP, ACCOUNT),
    "unregistered": (Action.STOP, UNREGISTERED),
    "busy": (Action.RETRY, _("The line was busy.")),
    "no-answer": (Action.RETRY, _("Nobody answered the call.")),
    "mailbox": (Action.MARK_NUMBER, _("There is no such mailbox.")),
    "unreachable": (Action.RETRY, _("The provider could not be reached.")),
    "timeout": (Action.UNKNOWN, _("The provider did not answer in time; the text may still arrive.")),
    "server": (Action.UNKNOWN, _("The provider had a fault; the text may still arrive.")),
    "garbled": (Action.UNKNOWN, _("The provider's answer could not be read; the text may still arrive.")),
    "budget": (Action.STOP, _("The day's money for texts is spent.")),
    "dial_code": (Action.STOP, _("Texts to this country are not switched on.")),
    "stale": (Action.STOP, _("It waited too long and was not sent, so that no old code arrives.")),
    "lost": (Action.UNKNOWN, _("The worker stopped while sending; the text may still arrive.")),
}


OUT_OF_REACH = _("the phone is switched off or out of reach")
TAKES_NONE = _("the number takes no texts: a landline, blocked, or no longer in use")
OURS = _("something is wrong on our side or at the carrier's")
# What the person who waits for it is told.
REASONS: dict[str, str | Promise] = {
    "21211": TAKES_NONE,
    "21610": TAKES_NONE,
    "21614": TAKES_NONE,
    "21635": TAKES_NONE,
    "30003": OUT_OF_REACH,
    "30005": TAKES_NONE,
    "30006": TAKES_NONE,
    "30007": _("the carrier held it back"),
    "30008": _("the carrier does not say why"),
    "isv.MOBILE_NUMBER_ILLEGAL": TAKES_NONE,
    "busy": _("the line was busy"),
    "no-answer": _("nobody answered"),
}


# What befalls a gateway and not one message: after a few in a row it rests.
OUTAGES = frozenset(
    {
        "20003",
        "InvalidAccessKeyId.NotFound",
        "SignatureDoesNotMatch",
        "isv.ACCOUNT_ABNORMAL",
        "isv.AMOUNT_NOT_ENOUGH",
        "isv.DAY_LIMIT_CONTROL",
        "isv.OUT_OF_SERVICE",
        "isp.RAM_PERMISSION_DENY",
    }
)
# Our own refusals, which no other gateway would lift.
OUR_OWN = frozenset({"budget", "dial_code", "stale"})
