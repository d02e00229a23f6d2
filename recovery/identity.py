"""Who a request is about: tidied in the browser's request, judged in the worker."""

from __future__ import annotations

import re
from functools import reduce

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.addresses import digest_of
from portal.models import Address, Merchant, phone_digest, validate_merchant_number
from recovery.models import Recovery
from terminals.models import RecoveryRequest

# Full-width forms of the printable ASCII characters, as Chinese input methods produce them.
FULL_WIDTH = {0xFF01 + offset: chr(0x21 + offset) for offset in range(94)}
SPACES = re.compile(r"[ \t\u00a0\u2000-\u200a\u202f\u3000]")
MERCHANT_LIKE = re.compile(r"[0-9]{10,}")
TILL_LIKE = re.compile(r"[0-9A-Z][0-9A-Z-]{3,31}")


def normalise_identifier(text: str) -> str:
    """A merchant number, terminal number or serial in its one written form.

    Raises ValidationError when it cannot be any of them. Whether it exists is not looked at here: that would
    answer a question nobody may ask (design D8).
    """
    folded = SPACES.sub("", text.translate(FULL_WIDTH)).upper()
    if MERCHANT_LIKE.fullmatch(folded):
        validate_merchant_number(folded)
        return folded
    if TILL_LIKE.fullmatch(folded) is None:
        raise ValidationError(
            _("Enter the 15-digit merchant number, or the terminal number or serial from the receipt."),
            code="identifier",
        )
    return folded


def merchant_for(recovery: Recovery) -> Merchant | None:
    """The merchant a recovery may act for: active, named by what was typed, reachable where it was typed.

    None is everybody else, and no caller can tell why.
    """
    found = Merchant.objects.filter(status=Merchant.Status.ACTIVE)
    if recovery.email:
        found = found.filter(pk__in=_mailboxes(recovery.email).values("merchant"))
    else:
        found = found.filter(phone_digest=phone_digest(recovery.phone)).exclude(phone_digest="")
    if recovery.signed_in_user is not None:
        return found.filter(users=recovery.signed_in_user).first()
    if recovery.user_code_digest:
        waiting = Q(
            stores__terminals__recovery_requests__user_code_digest=recovery.user_code_digest,
            stores__terminals__recovery_requests__state=RecoveryRequest.State.PENDING,
            stores__terminals__recovery_requests__expires_at__gt=timezone.now(),
        )
        return found.filter(waiting).first()
    typed = recovery.identifier
    ways = (Q(number=typed), Q(stores__terminals__number=typed), Q(stores__terminals__serial=typed))
    # Two shops of one owner may share a phone; what was typed then has to name exactly one of them.
    named = list(found.filter(reduce(Q.__or__, ways)).distinct()[:2])
    return named[0] if len(named) == 1 else None


def _mailboxes(email: str) -> QuerySet[Address]:
    """Where owners get mail; what helps is never the first to be asked."""
    mine = Address.objects.filter(kind=Address.Kind.EMAIL, holder=Address.Holder.OWNER)
    return mine.filter(digest=digest_of(email), retired_at__isnull=True)


def mailbox_of(recovery: Recovery) -> str:
    """The address, by id, to which the first code went; empty when the shop has it no more."""
    mine = _mailboxes(recovery.email).filter(merchant=recovery.merchant)
    return mine.values_list("pk", flat=True).first() or ""
