"""What should hold for the keys that sign commands; docs/operations.md says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004

from terminals.keys.keyfiles import KEY_FOLDER, LOCKED_ROOT_FILE, ROOT_FILE, folder_of, is_open_to_others

TAG = "rekey"


def _folders() -> list[Path]:
    """Where key files may lie on this host: the usual folder, and the one this process was told."""
    folders = {settings.REKEY_VAR / KEY_FOLDER}
    if settings.REKEY_ISSUER_KEY_FILE:
        folders.add(folder_of(Path(settings.REKEY_ISSUER_KEY_FILE)))
    return sorted(folders)


@register(TAG)
def the_root_is_elsewhere(**_: Any) -> list[CheckMessage]:
    """W016: whoever reads the root key can vouch for signing keys of his own."""
    return [
        Warning(
            f"The root key lies in the clear in {folder}.",
            hint=f"Move {ROOT_FILE} to a medium that is kept offline; it is needed to publish keysets only.",
            id="rekey.W016",
        )
        for folder in _folders()
        if (folder / ROOT_FILE).is_file()
    ]


@register(Tags.security, TAG, deploy=True)
def the_root_is_not_here_either(**_: Any) -> list[CheckMessage]:
    """W018: an encrypted root is as safe as its passphrase, and that is typed on this very host."""
    return [
        Warning(
            f"The root key lies encrypted in {folder}: its passphrase is all that protects it.",
            hint="A small site may live with this; a larger one keeps the root offline.",
            id="rekey.W018",
        )
        for folder in _folders()
        if (folder / LOCKED_ROOT_FILE).is_file()
    ]


@register(TAG)
def the_signing_keys_are_private(**_: Any) -> list[CheckMessage]:
    """E017: the files of the signing keys are there, and only their owner can read them."""
    if not settings.REKEY_ISSUER_KEY_FILE:
        return []
    named = Path(settings.REKEY_ISSUER_KEY_FILE)
    files = sorted(named.glob("signing*.jwk")) if named.is_dir() else [named]
    if files and all(file.is_file() and not is_open_to_others(file) for file in files):
        return []
    text = "REKEY_ISSUER_KEY_FILE names no signing key, or one that others can read (chmod 600)."
    return [Error(text, id="rekey.E017")]
