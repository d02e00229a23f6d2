"""The tickets that people take over from where somebody got stuck."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from portal.models import new_public_id
from portal.secrets import mask_phone
from recovery.models.recoveries import Recovery, new_receipt_number
from terminals.models import Terminal


class Ticket(models.Model):
    """A case that a person has to look at. It proves nothing: whatever it says was typed by somebody."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        WAITING = "waiting", _("waiting for the merchant")
        MANUFACTURER = "manufacturer", _("waiting for the manufacturer")
        ACQUIRER = "acquirer", _("waiting for the acquirer")
        CLOSED = "closed", _("closed")

    class Priority(models.IntegerChoices):
        URGENT = 1, _("urgent")
        HIGH = 2, _("high")
        NORMAL = 3, _("normal")
        LOW = 4, _("low")

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    number = models.CharField(
        _("ticket number"), max_length=9, unique=True, default=new_receipt_number, editable=False
    )
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.OPEN, db_index=True
    )
    step = models.CharField(_("got stuck at"), max_length=24, blank=True, default="")
    subject = models.CharField(_("subject"), max_length=120)
    recovery = models.ForeignKey(
        Recovery, null=True, blank=True, on_delete=models.SET_NULL, related_name="tickets"
    )
    merchant = models.ForeignKey(
        "portal.Merchant",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="tickets",
        verbose_name=_("merchant"),
    )
    phone = EncryptedTextField(_("phone to call back"), blank=True, default="")
    phone_digest = models.CharField(max_length=64, blank=True, default="", db_index=True, editable=False)
    assignee = models.ForeignKey(
        "portal.User",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="tickets",
        verbose_name=_("agent"),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    # What the one who opened it reads; texts and prepared answers are in it.
    locale = models.CharField(_("language"), max_length=10, default="zh-hans", editable=False)
    # The case that goes on in its place. That one is never part of another itself.
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="merged", editable=False
    )
    # Counts what was done about it: whoever saves says which one their page showed.
    version = models.PositiveIntegerField(default=0, editable=False)
    priority = models.PositiveSmallIntegerField(
        _("priority"), choices=Priority.choices, default=Priority.NORMAL
    )
    # The clock, in seconds of its service level's own time: what ran before `clock_from`, and since when it
    # runs (null while it stands still, which it does since `still_since`).
    spent_s = models.PositiveIntegerField(default=0, editable=False)
    clock_from = models.DateTimeField(null=True, editable=False)
    still_since = models.DateTimeField(null=True, editable=False)
    # When the answer or the solution is due, whichever comes first; null while the clock stands still.
    next_due_at = models.DateTimeField(_("due"), null=True, editable=False)
    answered_at = models.DateTimeField(_("first answer"), null=True, editable=False)
    # Null until it is known.
    answered_late = models.BooleanField(null=True, editable=False)
    solved_late = models.BooleanField(null=True, editable=False)
    # The last step of the chain that was told about this deadline, and when somebody on duty was called.
    told_minutes = models.SmallIntegerField(null=True, editable=False)
    paged_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["next_due_at", "-created_at"], name="tickets_by_deadline"),
            models.Index(fields=["state", "assignee"], name="tickets_by_agent"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.subject}"

    @property
    def masked_phone(self) -> str:
        """Whom to call back, with the middle hidden."""
        return mask_phone(self.phone)

    @property
    def stuck_terminal(self) -> Terminal | None:
        """The terminal of the recovery somebody got stuck in."""
        return self.recovery.terminal if self.recovery is not None else None


class TicketEntry(models.Model):
    """One thing said or done on a ticket."""

    class Author(models.TextChoices):
        MERCHANT = "merchant", _("merchant")
        STAFF = "staff", _("support")
        SYSTEM = "system", _("system")

    class Call(models.TextChoices):
        REACHED = "reached", _("called, and reached somebody")
        MISSED = "missed", _("called, nobody answered")
        INCOMING = "incoming", _("was called")

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField(_("at"), default=timezone.now)
    author = models.CharField(_("who"), max_length=10, choices=Author.choices)
    user = models.ForeignKey(
        "portal.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    text = models.TextField(_("text"), max_length=4000)
    # A note among colleagues; the merchant never reads it.
    internal = models.BooleanField(_("internal"), default=False)
    # A phone call, and how it went; the text may be empty then.
    call = models.CharField(_("phone call"), max_length=8, choices=Call.choices, blank=True, default="")

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.text[:40]

    @property
    def by_support(self) -> bool:
        """Whether somebody at the desk said it."""
        return self.author == self.Author.STAFF

    @property
    def picture(self) -> Any:
        """The photo that came with it, or None."""
        return getattr(self, "photo", None)


class TicketViewer(models.Model):
    """Who has a ticket's page open, as far as the last minute tells."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="viewers")
    user = models.ForeignKey("portal.User", on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("open page")
        verbose_name_plural = _("open pages")
        constraints = [models.UniqueConstraint(fields=["ticket", "user"], name="one_look_at_a_ticket")]

    def __str__(self) -> str:
        return f"{self.ticket_id} {self.user_id}"
