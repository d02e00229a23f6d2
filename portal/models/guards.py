"""What guards texts and codes: counters of limits, what stops by itself, and who is known."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.models.merchants import Merchant, User


class Allowance(models.Model):
    """One counter of one limit in one window; the row is the guard (design D12)."""

    limit = models.CharField(max_length=40)
    key_digest = models.CharField(max_length=64)
    window_start = models.BigIntegerField()
    taken = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("allowance")
        verbose_name_plural = _("allowances")
        constraints = [
            models.UniqueConstraint(
                fields=["limit", "key_digest", "window_start"], name="one_counter_per_window"
            )
        ]

    def __str__(self) -> str:
        return f"{self.limit} {self.taken}"


class Circuit(models.Model):
    """A way of sending that stops by itself when it does more harm than good, and tries again by itself.

    `stopped_at` empty: it works. From `retry_at` on a few trials may pass; what came before `counted_from`
    is not looked at again.
    """

    name = models.CharField(_("name"), primary_key=True, max_length=16)
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True)
    retry_at = models.DateTimeField(_("tries again"), null=True, blank=True)
    trials = models.PositiveSmallIntegerField(default=0)
    counted_from = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("circuit")
        verbose_name_plural = _("circuits")

    def __str__(self) -> str:
        return self.name


class KnownBrowser(models.Model):
    """A browser that once proved itself for a shop: strangers cannot use up its share of the limits."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="known_browsers")
    # Who signs in with it; empty for one in which a text was typed back.
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=80, blank=True, default="")
    first_at = models.DateTimeField(default=timezone.now)
    last_proved_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("known browser")
        verbose_name_plural = _("known browsers")

    def __str__(self) -> str:
        return self.label
