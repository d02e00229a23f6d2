"""The audit trail: a closed vocabulary of things that happen, told once."""

from __future__ import annotations

from typing import Any

from django.db import models

from portal.models import AuditEvent, Merchant


class Tag(models.TextChoices):
    """`source:subject:action`; a new kind of event is a new line here."""

    SIGN_IN = "portal:account:signed-in"
    SIGN_IN_REFUSED = "portal:account:sign-in-refused"
    SIGN_OUT = "portal:account:signed-out"
    SESSIONS_ENDED = "portal:account:sessions-ended"
    BROWSER_NEW = "portal:account:new-browser"
    BROWSER_FORGOTTEN = "portal:account:browser-forgotten"
    PROVED_AGAIN = "portal:account:proved-again"
    INVITED = "portal:invitation:made"
    INVITATION_WITHDRAWN = "portal:invitation:withdrawn"
    JOINED = "portal:account:joined"
    PROVED_OUTSIDE = "portal:account:proved-without-sign-in"
    REFUSED_OUTSIDE = "portal:account:refused-without-sign-in"
    PASSWORD_RESET = "portal:account:password-reset"  # noqa: S105 - the name of an event
    FACTORS_LOST = "portal:account:second-factors-lost"
    ACCOUNT_ENROLLED = "portal:account:enrolled"
    PASSWORD_SET = "portal:account:password-set"  # noqa: S105 - the name of an event
    SECOND_FACTOR_ADDED = "portal:account:second-factor-added"
    SECOND_FACTOR_REMOVED = "portal:account:second-factor-removed"
    ACCOUNT_CHANGED = "portal:account:changed"
    MERCHANT_CHANGED = "portal:merchant:changed"
    MERCHANT_PHONE_CHANGED = "portal:merchant:phone-changed"
    CODES_MADE = "portal:recovery-codes:made"
    CODE_USED = "portal:recovery-codes:used"
    ADDRESS_ASKED = "portal:address:asked"
    ADDRESS_CHANGED = "portal:address:changed"
    ADDRESS_STOPPED = "portal:address:change-stopped"
    ADDRESS_REMOVED = "portal:address:removed"
    PHONE_UNREACHABLE = "portal:phone:unreachable"
    TEXTS_DISTRUSTED = "portal:merchant:texts-distrusted"
    TEXTS_TRUSTED = "portal:merchant:texts-trusted"
    GUESSING_ALARM = "portal:codes:guessing-alarm"
    TEXTS_STOPPED = "portal:texts:stopped"
    TEXTS_RESUMED = "portal:texts:resumed"
    GATEWAY_STOPPED = "portal:gateway:stopped"
    GATEWAY_RESUMED = "portal:gateway:resumed"
    MESSAGE_TESTED = "portal:message:tested"
    MONEY_SPENT = "portal:texts:money-spent"
    SMS_REFUSED = "portal:message:provider-refused"
    TERMINAL_ADDED = "terminals:terminal:added"
    TERMINAL_CHANGED = "terminals:terminal:changed"
    PAIRING_ISSUED = "terminals:pairing-code:issued"
    PAIRING_REVOKED = "terminals:pairing-code:revoked"
    PAIRING_BURNED = "terminals:pairing-code:burned"
    PAIRED = "terminals:terminal:paired"
    KEY_ROLLED = "terminals:key:rolled"
    KEY_IN_FORCE = "terminals:key:in-force"
    TERMINAL_STOPPED = "terminals:terminal:stopped"
    TERMINAL_RELEASED = "terminals:terminal:released"
    TERMINAL_REVOKED = "terminals:terminal:revoked"
    TERMINAL_SWAPPED = "terminals:terminal:swapped"
    BATCH_ADDED = "terminals:batch:added"
    SHEET_SHOWN = "terminals:batch:sheet-shown"
    COMMAND_ISSUED = "terminals:command:issued"
    COMMAND_APPROVED = "terminals:command:approved"
    COMMAND_FINISHED = "terminals:command:finished"
    COMMAND_CLEARED = "terminals:command:cleared"
    COMMAND_LATE = "terminals:command:applied-late"
    COMMAND_PARKED = "terminals:command:parked"
    RECEIPT_CONFLICT = "terminals:receipt:conflict"
    SEQ_REPLAYED = "terminals:sequence:jumped"
    KEYSET_PUBLISHED = "terminals:keyset:published"
    ISSUER_KEY_IN_USE = "terminals:issuer-key:in-use"
    ISSUER_KEY_REVOKED = "terminals:issuer-key:revoked"
    TAMPER_CLEARED = "terminals:terminal:tamper-cleared"
    ALERT_RAISED = "terminals:alert:raised"
    ALERT_CLEARED = "terminals:alert:cleared"
    RECOVERY_ASKED = "terminals:recovery:asked"
    OFFLINE_ANSWERED = "terminals:offline-unlock:answered"
    OFFLINE_USED = "terminals:offline-unlock:used"
    DIRECTORY_CHANGED = "terminals:directory:changed"
    DIRECTORY_CONFIRMED = "terminals:directory:confirmed"
    DIRECTORY_DUE = "terminals:directory:due"
    RECOVERY_STARTED = "recovery:recovery:started"
    RECOVERY_AT_TERMINAL = "recovery:recovery:stood-at-terminal"
    RECOVERY_DENIED = "recovery:recovery:denied"
    RECOVERY_PROVED = "recovery:recovery:proved"
    RECOVERY_REFUSED = "recovery:recovery:refused"
    RECOVERY_DISPATCHED = "recovery:recovery:dispatched"
    RECOVERY_DISOWNED = "recovery:recovery:disowned"
    RECOVERY_FINISHED = "recovery:recovery:finished"
    VERIFICATION_OPENED = "recovery:verification:opened"
    VERIFICATION_STATED = "recovery:verification:stated"
    VERIFICATION_REFUSED = "recovery:verification:refused"
    VERIFICATION_ASKED = "recovery:verification:second-person-asked"
    DESK_MISUSED = "recovery:desk:misused"
    VERIFICATION_DENIED = "recovery:verification:denied"
    POLICY_CHANGED = "recovery:policy:changed"
    PHONE_SHOWN = "recovery:ticket:phone-shown"
    TICKET_OPENED = "recovery:ticket:opened"
    TICKET_ASSIGNED = "recovery:ticket:assigned"
    TICKET_CLOSED = "recovery:ticket:closed"


def record(
    tag: Tag, *, actor: str, merchant: Merchant | None = None, subject: str = "", **facts: Any
) -> AuditEvent:
    """Add one event. `actor` and `subject` are ids such as `user:7` or `rec_…`; facts hold no secrets."""
    return AuditEvent.objects.create(
        tag=tag.value, actor=actor, merchant=merchant, subject=subject, facts=facts
    )
