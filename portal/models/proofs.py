"""What people can prove themselves with besides the registered phone, and changes of it."""

from __future__ import annotations

import secrets

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.codes import NUMBER_ALPHABET
from portal.fields import EncryptedTextField
from portal.models.merchants import Merchant, new_public_id
from portal.secrets import mask_email, mask_phone


def new_change_number() -> str:
    """A number for a change, such as C7F3-K229, by which owner and support speak of it; it proves nothing."""
    text = "C" + "".join(secrets.choice(NUMBER_ALPHABET) for _ in range(7))
    return f"{text[:4]}-{text[4:]}"


class RecoveryCode(models.Model):
    """One of the ten codes of a sheet of paper: single use, kept as a keyed digest.

    A sheet is dead as soon as a newer one is made; its rows then have `revoked_at`.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="recovery_codes")
    sheet = models.CharField(_("sheet"), max_length=7, db_index=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.CharField(_("made by"), max_length=64)
    created_at = models.DateTimeField(_("made"), default=timezone.now)
    used_at = models.DateTimeField(_("used"), null=True, blank=True)
    used_for = models.CharField(_("used for"), max_length=64, blank=True, default="")
    revoked_at = models.DateTimeField(_("no longer valid since"), null=True, blank=True)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        ordering = ["-created_at", "pk"]

    def __str__(self) -> str:
        return f"{self.sheet} {self.pk}"


class Address(models.Model):
    """Another way to reach a shop: a phone or an e-mail address of the owner, or of a recovery contact.

    A row is made when a code to it was typed back, so there is none that nobody has confirmed. A contact can
    help to prove and can never reset.
    """

    class Kind(models.TextChoices):
        PHONE = "phone", _("phone")
        EMAIL = "email", _("e-mail")

    class Holder(models.TextChoices):
        OWNER = "owner", _("owner")
        CONTACT = "contact", _("recovery contact")

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    merchant = models.ForeignKey(
        Merchant, on_delete=models.PROTECT, related_name="addresses", verbose_name=_("merchant")
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    holder = models.CharField(_("whose"), max_length=8, choices=Holder.choices, default=Holder.OWNER)
    name = models.CharField(_("name"), max_length=40, blank=True, default="")
    value = EncryptedTextField(_("number or address"))
    digest = models.CharField(max_length=64, db_index=True, editable=False)
    locale = models.CharField(_("language"), max_length=10, default="zh-hans")
    created_at = models.DateTimeField(_("named"), default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(_("last confirmed"), default=timezone.now, editable=False)
    # Until then it helps neither with the supervisor's nor with the maintenance password.
    held_until = models.DateTimeField(_("held until"), null=True, blank=True, editable=False)
    retired_at = models.DateTimeField(_("removed"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("address")
        verbose_name_plural = _("addresses")
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "digest"],
                condition=models.Q(retired_at__isnull=True),
                name="an_address_once_per_merchant",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.masked}"

    @property
    def masked(self) -> str:
        """`138****2046` or `w***@example.com`."""
        return mask_email(self.value) if self.kind == self.Kind.EMAIL else mask_phone(self.value)


class AddressChange(models.Model):
    """An address that is to be named, replaced or confirmed: a code to it first, then 72 h to stop it.

    `proving`: the code is awaited, ten minutes. `standing`: in force, and can be stopped by whoever has the
    number that was sent to the old address. Both end by themselves at `ends_at`.
    """

    class What(models.TextChoices):
        REGISTERED = "registered", _("the registered phone is replaced")
        NEW = "new", _("an address is named")
        REPLACED = "replaced", _("an address is replaced")
        CONFIRMED = "confirmed", _("an address is confirmed once more")

    class State(models.TextChoices):
        PROVING = "proving", _("waiting for the code")
        STANDING = "standing", _("in force, can be stopped")
        DONE = "done", _("done")
        STOPPED = "stopped", _("stopped and undone")
        CANCELLED = "cancelled", _("cancelled")
        EXPIRED = "expired", _("expired")

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    number = models.CharField(
        _("number"), max_length=9, unique=True, default=new_change_number, editable=False
    )
    # Of the number that stops it (`portal.quoted`), which only the notices about it hold.
    veto_digest = models.CharField(max_length=64, blank=True, default="", db_index=True, editable=False)
    merchant = models.ForeignKey(
        Merchant, on_delete=models.PROTECT, related_name="address_changes", verbose_name=_("merchant")
    )
    what = models.CharField(_("what"), max_length=12, choices=What.choices, editable=False)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.PROVING, editable=False
    )
    # Empty for the registered phone, and for a new address until it is in force.
    address = models.ForeignKey(
        Address, null=True, blank=True, on_delete=models.PROTECT, related_name="changes"
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Address.Kind.choices, editable=False)
    holder = models.CharField(_("whose"), max_length=8, choices=Address.Holder.choices, editable=False)
    name = models.CharField(_("name"), max_length=40, blank=True, default="", editable=False)
    locale = models.CharField(_("language"), max_length=10, default="zh-hans", editable=False)
    old = EncryptedTextField(blank=True, default="", editable=False)
    new = EncryptedTextField(editable=False)
    challenge = models.OneToOneField(
        "portal.Challenge", null=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    requested_by = models.CharField(_("requested by"), max_length=64, editable=False)
    requested_at = models.DateTimeField(_("requested"), default=timezone.now, editable=False)
    in_force_at = models.DateTimeField(_("in force"), null=True, blank=True, editable=False)
    ends_at = models.DateTimeField(_("ends"), db_index=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("change of address")
        verbose_name_plural = _("changes of addresses")
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return self.number

    @property
    def masked(self) -> str:
        """The new one, with its middle hidden."""
        return mask_email(self.new) if self.kind == Address.Kind.EMAIL else mask_phone(self.new)
