"""Whom a merchant can call: makers, acquirers and agents, each line confirmed by a second person."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.validators import RegexValidator, URLValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

SECOND_PERSON = Q(verified_by__isnull=True, verified_at__isnull=True, valid_until__isnull=True) | (
    Q(verified_by__isnull=False, verified_at__isnull=False)
    & Q(valid_until__gt=F("verified_at"))
    & ~Q(verified_by=F("entered_by"))
)


class Vouched(models.Model):
    """A line that one person has entered and another has confirmed; a changed line is entered anew."""

    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("entered by"),
        editable=False,
    )
    entered_at = models.DateTimeField(_("entered"), default=timezone.now, editable=False)
    verified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("confirmed by"),
        null=True,
        blank=True,
        editable=False,
    )
    verified_at = models.DateTimeField(_("confirmed"), null=True, blank=True, editable=False)
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True, editable=False, db_index=True)

    class Meta:
        abstract = True
        constraints = [models.CheckConstraint(condition=SECOND_PERSON, name="%(class)s_second_person")]

    def enter(self, by: int) -> None:
        """Make it this person's own words as of now, confirmed by nobody; the caller saves it."""
        self.entered_by_id, self.entered_at = by, timezone.now()
        self.verified_by = self.verified_at = self.valid_until = None

    def is_due(self, now: datetime) -> bool:
        """Whether it was confirmed, but too long ago."""
        return self.valid_until is not None and self.valid_until <= now


class DirectoryEntry(Vouched):
    """A maker of terminals, an acquirer or a service agent. `name_zh` is shown where no other is known."""

    class Kind(models.TextChoices):
        BRAND = "brand", _("terminal brand")
        ACQUIRER = "acquirer", _("acquirer")
        AGENT = "agent", _("service agent")

    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    name_zh = models.CharField(_("name in Chinese"), max_length=60)
    name_en = models.CharField(_("name in English"), max_length=60, blank=True, default="")
    hours_zh = models.CharField(_("hours in Chinese"), max_length=80, blank=True, default="")
    hours_en = models.CharField(_("hours in English"), max_length=80, blank=True, default="")
    web = models.CharField(
        _("website"),
        max_length=200,
        blank=True,
        default="",
        validators=[URLValidator(schemes=["https"])],
        help_text=_("Begins with https://"),
    )
    source = models.CharField(
        _("source"),
        max_length=200,
        help_text=_(
            "Where the second person can look it up: a contract, a page of the company."
            " Merchants do not see it."
        ),
    )
    retired = models.BooleanField(
        _("retired"), default=False, help_text=_("No longer shown to merchants; nothing is deleted.")
    )
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(Vouched.Meta):
        verbose_name = _("directory entry")
        verbose_name_plural = _("contact directory")
        ordering = ["name_zh", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """In the reader's language, as far as it is known."""
        return (self.name_en if get_language() == "en" else "") or self.name_zh

    @property
    def hours(self) -> str:
        """In the reader's language; one language says more than none."""
        first, second = self.hours_zh, self.hours_en
        return (second or first) if get_language() == "en" else (first or second)


class DirectoryNumber(Vouched):
    """A telephone number: as people write it, and the digits by which it is found."""

    entry = models.ForeignKey(DirectoryEntry, on_delete=models.CASCADE, related_name="numbers")
    shown = models.CharField(_("telephone"), max_length=32)
    digits = models.CharField(_("digits"), max_length=20, db_index=True, editable=False)

    class Meta(Vouched.Meta):
        verbose_name = _("telephone number")
        verbose_name_plural = _("telephone numbers")
        ordering = ["pk"]
        constraints = [
            *Vouched.Meta.constraints,
            models.UniqueConstraint(fields=["entry", "digits"], name="directory_number_once_per_entry"),
        ]

    def __str__(self) -> str:
        return self.shown


class DirectoryKey(Vouched):
    """How serial numbers of a brand, or merchant numbers of an acquirer, begin."""

    class Kind(models.TextChoices):
        SERIAL = "serial", _("serial number begins with")
        ACQUIRER = "acquirer", _("merchant number begins with")

    entry = models.ForeignKey(DirectoryEntry, on_delete=models.CASCADE, related_name="keys")
    kind = models.CharField(_("what"), max_length=8, choices=Kind.choices)
    start = models.CharField(
        _("begins with"),
        max_length=16,
        validators=[RegexValidator(r"\A[0-9A-Z-]{2,16}\Z", _("2 to 16 letters, digits and hyphens."))],
    )

    class Meta(Vouched.Meta):
        verbose_name = _("beginning of a number")
        verbose_name_plural = _("beginnings of numbers")
        ordering = ["kind", "start", "pk"]
        indexes = [models.Index(fields=["start", "kind"], name="directory_key_start")]
        constraints = [
            *Vouched.Meta.constraints,
            models.UniqueConstraint(fields=["entry", "kind", "start"], name="directory_key_once_per_entry"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.start}"
