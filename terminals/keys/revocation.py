"""When a signing key was stolen: the next one takes over at once, and what the old one signed is signed anew.

Nothing here needs the root, which may be a day's journey away. That terminals stop believing the old key
takes a keyset, and a root's signature; `issuer.draft` prepares it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from portal.audit import Tag, record
from terminals import alerts, commands, jose
from terminals.keys import issuer
from terminals.models import Command, IssuerKey, TerminalAlert, TerminalStatus
from terminals.protocol import OPEN, TYP_COMMAND

log = structlog.get_logger(__name__)
# A worker that was signing while the key was revoked finishes within seconds; the sweep looks for this long.
SWEEP_FOR: Final = timedelta(minutes=10)
BATCH: Final = 500


class NoNext(LookupError):
    """No key waits to take over: a keyset that lists one must be published first."""


def switch(by: str = "console") -> IssuerKey:
    """Put the key that is published ahead to use, now and without the root. Raises NoNext.

    Terminals that have not met it are served by the one before, unless that is revoked: then they meet a key
    they do not know, fetch the keysets they lack and go on.
    """
    waiting = [one.key for one in reversed(issuer.standings()) if one.state == "next"]
    for key in waiting:
        unused = IssuerKey.objects.filter(pk=key.pk, activated_at__isnull=True, revoked_at__isnull=True)
        with transaction.atomic():
            if unused.update(activated_at=timezone.now()) == 1:
                record(Tag.ISSUER_KEY_IN_USE, actor=by, subject=key.kid)
                issuer.changed()
                log.info("issuer_key_in_use", kid=key.kid)
                return key
    raise NoNext("no key is published ahead")


def revoke(kid: str, by: str = "console") -> int:
    """Never sign by this key again, from now on; how many open commands are signed anew.

    If it was the one in use, the next takes over; if there is none, nothing is signed until one is published.
    Raises IssuerKey.DoesNotExist. Safe to repeat.
    """
    standing = next((one for one in issuer.standings() if one.key.kid == kid), None)
    if standing is None:
        raise IssuerKey.DoesNotExist(kid)
    with transaction.atomic():
        fresh = IssuerKey.objects.filter(pk=kid, revoked_at__isnull=True)
        if fresh.update(revoked_at=timezone.now()) == 1:
            record(Tag.ISSUER_KEY_REVOKED, actor=by, subject=kid)
            issuer.changed()
            log.critical("issuer_key_revoked", kid=kid)
            _succeed(standing, by)
    suspect()
    return reissue_signed_by(kid)


def _succeed(standing: issuer.Standing, by: str) -> None:
    if standing.state == "current" and standing.scope == issuer.ORDINARY:
        try:
            switch(by)
        except NoNext:
            log.critical("no_issuer_key_left", kid=standing.key.kid)


def reissue_signed_by(kid: str) -> int:
    """Have every open command whose token this key signed signed again under its own id; how many."""
    beginning = jose.beginning(TYP_COMMAND, kid)
    signed = Command.objects.filter(state__in=OPEN, token__startswith=beginning).order_by("created_at")
    done = 0
    # By id and in one pass: a command that cannot be signed anew (it is being withdrawn) is met once.
    for pk in list(signed.values_list("pk", flat=True)):
        command = Command.objects.select_related("terminal__store__merchant").get(pk=pk)
        if command.token.startswith(beginning) and commands.reissue(command):
            kind = TerminalAlert.Kind.KEY_REVOKED
            alerts.raise_alert(kind, command.terminal, command=None, subject=kid, last_command=command.pk)
            done += 1
    return done


def suspect() -> int:
    """Alert for terminals that saw higher numbers than we gave out: did somebody else sign? How many."""
    ahead = TerminalStatus.objects.filter(reported_hwm__gt=F("terminal__last_seq"))
    found = 0
    for status in ahead.select_related("terminal__store__merchant").iterator(chunk_size=BATCH):
        given, seen = status.terminal.last_seq, status.reported_hwm
        alerts.raise_alert(TerminalAlert.Kind.HWM_AHEAD, status.terminal, given=given, seen=seen)
        found += 1
    return found


def sweep() -> None:
    """Sign anew what a worker still signed by a key while that was being revoked."""
    lately = timezone.now() - SWEEP_FOR
    for kid in IssuerKey.objects.filter(revoked_at__gt=lately).values_list("kid", flat=True):
        reissue_signed_by(kid)
