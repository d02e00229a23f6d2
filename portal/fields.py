"""A text column that is ciphertext at rest."""

from __future__ import annotations

from typing import Any

from django.db import models

from portal.secrets import decrypt, encrypt


class EncryptedTextField(models.TextField[str, str]):
    """Text sealed with the field key (AES-256-GCM), bound to its table and column.

    Equal texts give different ciphertexts, so look-ups need a blind index in a column of its own.
    """

    def _context(self) -> str:
        return f"{self.model._meta.label_lower}.{self.attname}"

    def get_prep_value(self, value: Any) -> str:
        text = super().get_prep_value(value)
        return encrypt(text, self._context()) if text else ""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str:
        return decrypt(value, self._context()) if value else ""
