"""Pairing codes, and the issuer keys and keysets that terminals trust."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from terminals.models.registry import Terminal


class PairingCode(models.Model):
    """A short-lived code that lets one unit become one terminal record. Only its digest is kept."""

    terminal = models.ForeignKey(Terminal, on_delete=models.CASCADE, related_name="pairing_codes")
    selector = models.CharField(max_length=3, db_index=True)
    digest = models.CharField(max_length=64)
    digits_selector = models.CharField(max_length=3, db_index=True)
    digits_digest = models.CharField(max_length=64)
    failures = models.PositiveSmallIntegerField(default=0)
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("pairing code")
        verbose_name_plural = _("pairing codes")

    def __str__(self) -> str:
        return f"{self.selector}… {self.terminal_id}"


class IssuerKey(models.Model):
    """The public half of a key that signs commands, and what it may sign."""

    kid = models.CharField(primary_key=True, max_length=16)
    jwk = models.JSONField()
    commands = models.JSONField(default=list)
    not_before = models.DateTimeField(_("good from"))
    expires_at = models.DateTimeField(_("good until"))
    # From when on new tokens are signed by it; before that it is only published, so that terminals learn it.
    activated_at = models.DateTimeField(_("in use since"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    # The first and the last keyset that list it; none while it is only prepared.
    first_version = models.PositiveIntegerField(null=True, blank=True)
    last_version = models.PositiveIntegerField(null=True, blank=True)
    # The name of its key file in the issuer folder of the workers; the key itself is never stored here.
    file = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        verbose_name = _("issuer key")
        verbose_name_plural = _("issuer keys")

    def __str__(self) -> str:
        return self.kid


class Keyset(models.Model):
    """A published, root-signed list of issuer keys. Never changed once it is out."""

    version = models.PositiveIntegerField(primary_key=True)
    token = models.TextField()
    root_thumbprint = models.CharField(max_length=43)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("keyset")
        verbose_name_plural = _("keysets")
        ordering = ["-version"]

    def __str__(self) -> str:
        return f"v{self.version}"
