"""Pairing codes on record: drawn, matched under limits, used once, withdrawn (protocol §1)."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from portal.secrets import pepper
from terminals import pairing
from terminals.keys import issuer
from terminals.models import PairingCode, Terminal
from terminals.protocol import PAIRING_LIFETIME, ProtocolError

WRONG_SECRETS = 5
# The best of so many draws is taken.
DRAWS = 8
# How many living codes may share a selector; each of them is looked at, and each loses a try to a wrong one.
SHARED = 8
CLOSED = (Terminal.State.QUARANTINED, Terminal.State.REVOKED)


class NotPairable(Exception):
    """A quarantined or revoked terminal gets no pairing code."""


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A fresh pairing code, shown once: two typed forms and the text of the QR."""

    id: int
    code: str
    digits: str
    expires_at: datetime
    qr_text: str


def create_pairing_code(terminal: Terminal, by: str, lifetime: int = PAIRING_LIFETIME) -> IssuedCode:
    """A new code for the terminal, good for so many seconds; older ones stop working.

    Raises NotPairable, issuer.NoKeyset.
    """
    return create_pairing_codes([terminal], by, lifetime)[0]


def create_pairing_codes(terminals: Sequence[Terminal], by: str, lifetime: int) -> list[IssuedCode]:
    """A new code for each of the terminals, in their order; all or none. Raises as for one."""
    for terminal in terminals:
        if terminal.state in CLOSED:
            raise NotPairable(terminal.state)
    root = issuer.current_keyset().root_thumbprint
    now = timezone.now()
    until = now + timedelta(seconds=lifetime)
    with transaction.atomic():
        alive(now).filter(terminal__in=terminals).update(revoked_at=now)
        drawn = _draw(len(terminals), now)
        rows = [_row(terminal, new, by, until) for terminal, new in zip(terminals, drawn, strict=True)]
        PairingCode.objects.bulk_create(rows)
        for terminal in terminals:
            record(Tag.PAIRING_ISSUED, actor=by, merchant=terminal.store.merchant, subject=terminal.id)
    return [_issued(row, new, root) for row, new in zip(rows, drawn, strict=True)]


def _row(terminal: Terminal, new: pairing.NewCode, by: str, until: datetime) -> PairingCode:
    return PairingCode(
        terminal=terminal,
        selector=new.letters.selector,
        digest=pairing.digest(new.letters.secret, pepper(), new.letters.selector),
        digits_selector=new.digits.selector,
        digits_digest=pairing.digest(new.digits.secret, pepper(), new.digits.selector),
        created_by=by,
        expires_at=until,
    )


def _issued(row: PairingCode, new: pairing.NewCode, root: str) -> IssuedCode:
    shown = new.letters.shown()
    qr = pairing.QrText(settings.REKEY_ORIGIN, shown, root)
    return IssuedCode(row.pk, shown, new.digits.shown(), row.expires_at, str(qr))


def _draw(count: int, now: datetime) -> list[pairing.NewCode]:
    """So many codes, with selectors of their own as far as there are any; on a busy day a few share one."""
    taken: Counter[str] = Counter()
    for selectors in alive(now).values_list("selector", "digits_selector"):
        taken.update(selectors)
    drawn = []
    for _ in range(count):
        new = min((pairing.generate() for _ in range(DRAWS)), key=partial(_crowd, taken))
        if _crowd(taken, new) >= SHARED:
            raise RuntimeError("too many pairing codes are alive at once")
        taken.update((new.letters.selector, new.digits.selector))
        drawn.append(new)
    return drawn


def _crowd(taken: Counter[str], new: pairing.NewCode) -> int:
    return max(taken[new.letters.selector], taken[new.digits.selector])


def alive(now: datetime) -> QuerySet[PairingCode]:
    """Codes that can still pair a terminal."""
    return PairingCode.objects.filter(
        used_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now, failures__lt=WRONG_SECRETS
    )


def revoke_pairing_codes(terminal: Terminal) -> int:
    """Stop every living code of the terminal; how many there were."""
    now = timezone.now()
    return alive(now).filter(terminal=terminal).update(revoked_at=now)


def match(typed: str) -> PairingCode:
    """The code that was meant. An attempt is spent before anything is compared (design D7).

    Raises ProtocolError `pairing_failed`, the same whatever is wrong.
    """
    parsed = pairing.normalise(typed) or pairing.ParsedCode("---", "")
    now = timezone.now()
    field = "digits_selector" if parsed.is_digits else "selector"
    rows = list(alive(now).filter(**{field: parsed.selector}).order_by("pk")[:SHARED])
    spent = [row for row in rows if alive(now).filter(pk=row.pk).update(failures=F("failures") + 1) == 1]
    given = pairing.digest(parsed.secret, pepper(), parsed.selector)
    kept = {row.pk: row.digits_digest if parsed.is_digits else row.digest for row in spent} or {0: ""}
    found = [pk for pk, digest in kept.items() if secrets.compare_digest(given, digest)]
    if not found:
        for row in spent:
            _note_burned(row)
        raise ProtocolError("pairing_failed")
    innocent = PairingCode.objects.filter(pk__in=kept.keys() - set(found[:1]), failures__gt=0)
    innocent.update(failures=F("failures") - 1)
    return next(row for row in spent if row.pk == found[0])


def _note_burned(row: PairingCode) -> None:
    if PairingCode.objects.filter(pk=row.pk, failures=WRONG_SECRETS).exists():
        merchant = row.terminal.store.merchant
        record(Tag.PAIRING_BURNED, actor="terminal", merchant=merchant, subject=row.terminal_id)


def use(code: PairingCode) -> bool:
    """Mark it used; whether this call did, for of many units with one code one is paired."""
    unused = PairingCode.objects.filter(pk=code.pk, used_at__isnull=True, revoked_at__isnull=True)
    return unused.update(used_at=timezone.now()) == 1
