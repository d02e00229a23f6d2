"""The words: what an owner is told about each kind of event, and under which heading it is found."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import TextChoices
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.audit import Tag


class Topic(TextChoices):
    """Headings under which an owner looks for something."""

    RESETS = "resets", _("Resets")
    ACCOUNT = "account", _("Signing in")
    PROOFS = "proofs", _("Phone and proofs")
    TERMINALS = "terminals", _("Terminals")
    SUPPORT = "support", _("Support")


Words = Mapping[Tag, str | Promise]

RESETS: Words = {
    Tag.RECOVERY_STARTED: _("A reset was begun with your number and phone"),
    Tag.RECOVERY_ASKED: _("A reset was asked for at the terminal"),
    Tag.RECOVERY_AT_TERMINAL: _("Somebody confirmed that they stand at the terminal"),
    Tag.RECOVERY_DENIED: _("A reset was stopped: the terminal was not theirs"),
    Tag.RECOVERY_PROVED: _("A proof was given that it is you"),
    Tag.RECOVERY_REFUSED: _("A reset was refused: the proofs were not enough"),
    Tag.RECOVERY_DISPATCHED: _("The reset was sent to the terminal"),
    Tag.RECOVERY_DISOWNED: _("“This wasn't me” was said: everything was stopped"),
    Tag.RECOVERY_FINISHED: _("The terminal reported how the reset ended"),
    Tag.COMMAND_ISSUED: _("A command for the terminal was written"),
    Tag.COMMAND_APPROVED: _("A second person approved the command"),
    Tag.COMMAND_FINISHED: _("The command came to its end"),
    Tag.COMMAND_CLEARED: _("A command that was stuck was ended"),
    Tag.COMMAND_LATE: _("The terminal carried out a command after it had ended"),
    Tag.COMMAND_PARKED: _("A command could not be delivered"),
    Tag.OFFLINE_ANSWERED: _("An offline answer was given out"),
    Tag.OFFLINE_USED: _("An offline answer was used at the terminal"),
}
ACCOUNT: Words = {
    Tag.SIGN_IN: _("Somebody signed in"),
    Tag.SIGN_IN_REFUSED: _("Signing in was refused: a wrong password or code"),
    Tag.SIGN_OUT: _("Somebody signed out"),
    Tag.SESSIONS_ENDED: _("Other browsers were signed out"),
    Tag.BROWSER_NEW: _("Somebody signed in with a browser that was new"),
    Tag.BROWSER_FORGOTTEN: _("A known browser was forgotten"),
    Tag.PROVED_AGAIN: _("Somebody proved it once more, for something important"),
    Tag.INVITED: _("An invitation to your shop was made"),
    Tag.INVITATION_WITHDRAWN: _("An invitation was withdrawn"),
    Tag.JOINED: _("An account was opened by invitation"),
    Tag.PROVED_OUTSIDE: _("A proof was given without signing in"),
    Tag.REFUSED_OUTSIDE: _("A wrong proof was given without signing in"),
    Tag.PASSWORD_RESET: _("The password of an account was set anew"),
    Tag.PASSWORD_SET: _("The password of an account was set"),
    Tag.FACTORS_LOST: _("Lost second factors were removed"),
    Tag.ACCOUNT_ENROLLED: _("An account was set up"),
    Tag.SECOND_FACTOR_ADDED: _("A second factor was added"),
    Tag.SECOND_FACTOR_REMOVED: _("A second factor was removed"),
    Tag.ACCOUNT_CHANGED: _("An account was changed"),
}
PROOFS: Words = {
    Tag.MERCHANT_CHANGED: _("The shop's entry was changed"),
    Tag.MERCHANT_PHONE_CHANGED: _("The registered phone was changed"),
    Tag.CODES_MADE: _("A card with recovery codes was made"),
    Tag.CODE_USED: _("A recovery code was used"),
    Tag.ADDRESS_ASKED: _("Another phone or address was asked for"),
    Tag.ADDRESS_CHANGED: _("A phone or address was changed"),
    Tag.ADDRESS_STOPPED: _("A change of phone or address was undone"),
    Tag.ADDRESS_REMOVED: _("A phone or address was removed"),
    Tag.PHONE_UNREACHABLE: _("The registered phone could not be reached"),
    Tag.TEXTS_DISTRUSTED: _("Too many wrong codes: a text alone proves nothing for now"),
    Tag.TEXTS_TRUSTED: _("Texts count as a proof again"),
    Tag.POLICY_CHANGED: _("The rule about proofs was changed"),
}
TERMINALS: Words = {
    Tag.TERMINAL_ADDED: _("A terminal was added"),
    Tag.TERMINAL_CHANGED: _("A terminal was renamed or moved"),
    Tag.TERMINAL_STOPPED: _("A terminal was stopped"),
    Tag.TERMINAL_RELEASED: _("A terminal was let in again"),
    Tag.TERMINAL_REVOKED: _("A terminal was shut out for good"),
    Tag.TERMINAL_SWAPPED: _("A terminal was replaced by another machine"),
    Tag.PAIRING_ISSUED: _("A pairing code was made"),
    Tag.PAIRING_REVOKED: _("A pairing code was withdrawn"),
    Tag.PAIRING_BURNED: _("Wrong pairing codes were tried; the code was stopped"),
    Tag.PAIRED: _("A terminal was paired"),
    Tag.KEY_ROLLED: _("A terminal made itself a new key"),
    Tag.KEY_IN_FORCE: _("A terminal's new key is in force"),
    Tag.RECEIPT_CONFLICT: _("A terminal reported two different ends of one command"),
    Tag.SEQ_REPLAYED: _("A terminal was ahead of our count"),
    Tag.TAMPER_CLEARED: _("A terminal that was opened by force was cleared"),
    Tag.ALERT_RAISED: _("Something was wrong at a terminal"),
    Tag.ALERT_CLEARED: _("What was wrong at a terminal was looked into"),
}
SUPPORT: Words = {
    Tag.TICKET_OPENED: _("A case was opened"),
    Tag.TICKET_ASSIGNED: _("The case was given to somebody at support"),
    Tag.TICKET_WAITS: _("It was noted whom the case waits for"),
    Tag.TICKET_CLOSED: _("The case was closed"),
    Tag.TICKET_REOPENED: _("The case was opened again"),
    Tag.TICKET_MERGED: _("The case goes on in another one"),
    Tag.TICKET_FOLLOWED: _("The case was read after a code to its phone"),
    Tag.PHONE_SHOWN: _("Your whole phone number was shown to support, to call back"),
    Tag.VERIFICATION_OPENED: _("Support began to verify a caller who asked for a reset"),
    Tag.VERIFICATION_STATED: _("Support stated what it had checked about the caller"),
    Tag.VERIFICATION_ATTESTED: _("Your bank or payment institution attested the caller"),
    Tag.VERIFICATION_REFUSED: _("Support tried a step that was refused"),
    Tag.VERIFICATION_ASKED: _("Support asked a second person about a reset"),
    Tag.VERIFICATION_DENIED: _("The second person at support said no"),
}
BY_TOPIC: Mapping[Topic, Words] = {
    Topic.RESETS: RESETS,
    Topic.ACCOUNT: ACCOUNT,
    Topic.PROOFS: PROOFS,
    Topic.TERMINALS: TERMINALS,
    Topic.SUPPORT: SUPPORT,
}
ALL: Words = {tag: text for words in BY_TOPIC.values() for tag, text in words.items()}
# About everybody, or about this service: never about one shop.
NOT_FOR_OWNERS = frozenset(
    {
        Tag.GUESSING_ALARM,
        Tag.SUPERUSER_IN,
        Tag.TEXTS_STOPPED,
        Tag.TEXTS_RESUMED,
        Tag.GATEWAY_STOPPED,
        Tag.GATEWAY_RESUMED,
        Tag.MESSAGE_TESTED,
        Tag.MONEY_SPENT,
        Tag.SMS_REFUSED,
        Tag.TRAIL_UNSIGNED,
        Tag.BATCH_ADDED,
        Tag.SHEET_SHOWN,
        Tag.KEYSET_PUBLISHED,
        Tag.ISSUER_KEY_IN_USE,
        Tag.ISSUER_KEY_REVOKED,
        Tag.DIRECTORY_CHANGED,
        Tag.DIRECTORY_CONFIRMED,
        Tag.DIRECTORY_DUE,
        # When support owes something, and whom that is told to, is its own affair.
        Tag.TICKET_PRIORITY,
        Tag.TICKET_DUE,
        Tag.TICKET_LATE,
        Tag.TICKET_CALLED,
        Tag.SERVICE_CHANGED,
        Tag.DESK_UNHEARD,
        Tag.CALENDAR_ENDS,
        Tag.DESK_MISUSED,
        Tag.DESK_ANOMALY,
        Tag.SUPERUSER_IN,
    }
)


def tags_of(topic: Topic | None) -> list[str]:
    """The kinds of events under a heading; all that owners are told of for none."""
    return [tag.value for tag in (ALL if topic is None else BY_TOPIC[topic])]
