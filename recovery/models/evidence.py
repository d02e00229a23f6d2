"""Verifications of callers by the support desk: one ticket, one agent, one reset, ten minutes."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.models import new_public_id
from recovery.models.recoveries import Recovery
from recovery.models.tickets import Ticket


class Verification(models.Model):
    """Whether a caller may have a reset. What was proved are the proofs of its recovery; the rest was stated.

    Terminal and operator are the recovery's. Nothing here says that it is enough: that is asked each time.
    """

    class State(models.TextChoices):
        OPEN = "open", _("being verified")
        ASKED = "asked", _("waiting for a second person")
        STARTED = "started", _("reset started")
        REFUSED = "refused", _("refused by the second person")
        OVER = "over", _("over")

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    ticket = models.ForeignKey(
        Ticket, on_delete=models.PROTECT, related_name="verifications", verbose_name=_("ticket")
    )
    agent = models.ForeignKey(
        "portal.User", on_delete=models.PROTECT, related_name="+", verbose_name=_("agent")
    )
    recovery = models.OneToOneField(
        Recovery, on_delete=models.PROTECT, related_name="verification", verbose_name=_("recovery")
    )
    state = models.CharField(
        _("state"), max_length=8, choices=State.choices, default=State.OPEN, editable=False
    )
    # By which method the last code went out; what the caller types is judged against that one.
    awaits = models.CharField(max_length=16, blank=True, default="", editable=False)
    number_shown_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Keyed digest of the whole request as the second person was shown it.
    request_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    decided_by = models.ForeignKey(
        "portal.User",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("second person"),
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True, editable=False)
    expires_at = models.DateTimeField(_("valid until"), editable=False)

    class Meta:
        verbose_name = _("verification of a caller")
        verbose_name_plural = _("verifications of callers")
        ordering = ["-created_at"]
        permissions = [
            ("approve_verification", _("Can be the second person of a reset")),
            # For partners, about the merchants of their acquirer only.
            ("attest_verification", _("Can attest who a caller is")),
            ("cosign_verification", _("Can be the second person of a reset, as the acquirer")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("agent")),
                name="verification_four_eyes",
            ),
            models.UniqueConstraint(
                fields=["ticket"],
                condition=Q(state__in=["open", "asked"]),
                name="one_verification_of_a_ticket",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ticket.number} {self.recovery.operator_number}"


class Statement(models.Model):
    """One thing that the agent or the acquirer states, once; `recovery.gates.evidence` says its worth."""

    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="statements")
    what = models.CharField(max_length=16)
    at = models.DateTimeField(default=timezone.now)
    # Who states it, where that is not the agent.
    by = models.ForeignKey(
        "portal.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    # Of a document: its last four signs and a keyed digest; never the whole number.
    last_four = models.CharField(max_length=4, blank=True, default="")
    digest = models.CharField(max_length=64, blank=True, default="", db_index=True)
    # Whether it is what is on file for the shop; empty: nothing is.
    matches = models.BooleanField(null=True)

    class Meta:
        verbose_name = _("statement of an agent")
        verbose_name_plural = _("statements of agents")
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["verification", "what"], name="a_statement_counts_once")
        ]

    def __str__(self) -> str:
        return self.what
