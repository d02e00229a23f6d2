"""What should hold for the keys that sign commands; docs/operations.md says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from terminals.keyfiles import KEY_FOLDER, ROOT_FILE, is_open_to_others

TAG = "rekey"


@register(TAG)
def the_root_is_elsewhere(**_: Any) -> list[CheckMessage]:
    """W016: whoever reads the root key can vouch for signing keys of his own."""
    folders = {settings.REKEY_VAR / KEY_FOLDER}
    if settings.REKEY_ISSUER_KEY_FILE:
        folders.add(Path(settings.REKEY_ISSUER_KEY_FILE).parent)
    return [
        Warning(
            f"The root key lies in the clear in {folder}.",
            hint=f"Move {ROOT_FILE} to a medium that is kept offline; it is needed to publish keysets only.",
            id="rekey.W016",
        )
        for folder in sorted(folders)
        if (folder / ROOT_FILE).is_file()
    ]


@register(TAG)
def the_signing_key_is_private(**_: Any) -> list[CheckMessage]:
    """E017: the file of the signing key is there, and only its owner can read it."""
    if not settings.REKEY_ISSUER_KEY_FILE:
        return []
    file = Path(settings.REKEY_ISSUER_KEY_FILE)
    if file.is_file() and not is_open_to_others(file):
        return []
    text = "REKEY_ISSUER_KEY_FILE names no file, or one that others can read (chmod 600)."
    return [Error(text, id="rekey.E017")]
