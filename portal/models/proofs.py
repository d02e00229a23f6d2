"""What people can prove themselves with besides the registered phone, and changes of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from portal.models.merchants import Merchant, Store, User, new_public_id


class Address(models.Model):
    """Another way to reach a shop: a phone or an e-mail address of the owner, or of a recovery contact.

    A contact can help to prove and can never reset. Until `confirmed_at` is set it proves nothing.
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
    created_by = models.CharField(_("named by"), max_length=64)
    created_at = models.DateTimeField(_("named"), default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(_("confirmed"), null=True, blank=True, editable=False)
    reconfirmed_at = models.DateTimeField(_("last confirmed"), null=True, blank=True, editable=False)
    # Until then it cannot help with the supervisor or the maintenance password.
    held_until = models.DateTimeField(_("held until"), null=True, blank=True, editable=False)
    retired_at = models.DateTimeField(_("removed"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("address")
        verbose_name_plural = _("addresses")
        ordering = ["merchant_id", "created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "digest"],
                condition=Q(retired_at__isnull=True),
                name="an_address_once_per_merchant",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class AddressChange(models.Model):
    """A phone or e-mail address that is to be replaced: both are told, and the old one can veto."""

    class Target(models.TextChoices):
        MERCHANT_PHONE = "merchant_phone", _("registered phone")
        USER_PHONE = "user_phone", _("phone for signing in")
        ADDRESS = "address", _("another address")

    class State(models.TextChoices):
        PROVING = "proving", _("waiting for the code to the new one")
        TOLD = "told", _("both were told")
        DONE = "done", _("done")
        VETOED = "vetoed", _("stopped by the old one")
        CANCELLED = "cancelled", _("cancelled")
        EXPIRED = "expired", _("expired")

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    merchant = models.ForeignKey(
        Merchant, on_delete=models.PROTECT, related_name="address_changes", verbose_name=_("merchant")
    )
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    address = models.ForeignKey(
        Address, null=True, blank=True, on_delete=models.PROTECT, related_name="changes"
    )
    target = models.CharField(_("what"), max_length=16, choices=Target.choices)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.PROVING, editable=False
    )
    old = EncryptedTextField(_("old"), blank=True, default="")
    new = EncryptedTextField(_("new"))
    requested_by = models.CharField(_("requested by"), max_length=64)
    requested_at = models.DateTimeField(_("requested"), default=timezone.now, editable=False)
    effective_at = models.DateTimeField(_("in force"), null=True, blank=True, editable=False)
    # The link in the notice to the old address holds a secret; here is only its keyed digest.
    veto_digest = models.CharField(max_length=64, unique=True, editable=False)
    veto_until = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("change of address")
        verbose_name_plural = _("changes of addresses")
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return f"{self.target} {self.state}"


class RecoveryCode(models.Model):
    """One of ten codes on paper: single use, kept as a keyed digest."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="recovery_codes")
    sheet = models.CharField(max_length=24, db_index=True)
    digest = models.CharField(max_length=64, unique=True)
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True, blank=True)
    used_for = models.CharField(max_length=64, blank=True, default="")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")

    def __str__(self) -> str:
        return f"{self.sheet} {self.pk}"


class Passkey(models.Model):
    """A WebAuthn credential of somebody who signs in (W3C Web Authentication Level 3 §4)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="passkeys")
    credential_id = models.CharField(max_length=700, unique=True)
    public_key = models.BinaryField()
    sign_count = models.BigIntegerField(default=0)
    transports = models.JSONField(default=list, blank=True)
    backed_up = models.BooleanField(default=False)
    name = models.CharField(_("name"), max_length=40)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    class Meta:
        verbose_name = _("passkey")
        verbose_name_plural = _("passkeys")

    def __str__(self) -> str:
        return self.name


class KnownBrowser(models.Model):
    """A browser that once proved itself for a shop: strangers cannot use up its share of the limits."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="known_browsers")
    digest = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=80, blank=True, default="")
    first_at = models.DateTimeField(default=timezone.now)
    last_proved_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("known browser")
        verbose_name_plural = _("known browsers")

    def __str__(self) -> str:
        return self.label


class Invitation(models.Model):
    """An invitation to open an owner's account, sent to the registered phone."""

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    merchant = models.ForeignKey(
        Merchant, on_delete=models.PROTECT, related_name="invitations", verbose_name=_("merchant")
    )
    store = models.ForeignKey(Store, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.CharField(_("invited by"), max_length=64)
    created_at = models.DateTimeField(_("invited"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    used_at = models.DateTimeField(_("used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.merchant_id} {self.created_at:%F}"
