"""What a provider asks above the floors of `recovery.gates`."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _


class GatePolicy(models.Model):
    """What a provider asks above the floors: for all shops, or for one besides. It makes nothing easier."""

    merchant = models.OneToOneField(
        "portal.Merchant",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="gate_policy",
        verbose_name=_("merchant"),
        help_text=_("Empty: for all shops."),
    )
    ordinary = models.PositiveSmallIntegerField(
        _("proofs for an ordinary operator"), choices=[(1, _("one")), (2, _("two"))], default=1
    )
    strict = models.PositiveSmallIntegerField(
        _("proofs for the supervisor, and whatever needs two"),
        choices=[(2, _("two")), (3, _("three"))],
        default=2,
    )
    shut = models.JSONField(_("proofs that are not taken"), default=list, blank=True)

    class Meta:
        verbose_name = _("rule about proofs")
        verbose_name_plural = _("rules about proofs")
        constraints = [models.UniqueConstraint(Coalesce("merchant", 0), name="one_rule_for_all_shops")]

    def __str__(self) -> str:
        return str(self.merchant or _("all shops"))
