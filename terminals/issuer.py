"""Issuer keys: who may sign commands, vouched for by a root (protocol §7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from terminals import jose
from terminals.keyfiles import ROOT_FILE, SIGNING_FILE, load_or_make
from terminals.models import IssuerKey, Keyset
from terminals.protocol import FACTORY_RESET, KINDS, TYP_KEYSET

KEY_LIFE = timedelta(days=400)
KEYSET_LIFE = timedelta(days=400)


class NoKeyset(LookupError):
    """There is no such keyset; `manage.py issuerkeys init` makes the first one."""


def current_keyset() -> Keyset:
    """The newest keyset. Raises NoKeyset."""
    newest = Keyset.objects.first()
    if newest is None:
        raise NoKeyset("no keyset has been published yet")
    return newest


def keyset(version: int) -> Keyset:
    """One keyset, for ever the same. Raises NoKeyset."""
    found = Keyset.objects.filter(version=version).first()
    if found is None:
        raise NoKeyset(f"no keyset {version}")
    return found


def init_keys(folder: Path) -> Keyset:
    """Make a root key, a signing key and keyset 1, or return what is there. Key files are 0600.

    The root signs keysets and nothing else; keep it away from the host (a system check says when it is not).
    """
    existing = Keyset.objects.first()
    if existing is not None:
        return existing
    root = load_or_make(folder / ROOT_FILE)
    signing = load_or_make(folder / SIGNING_FILE)
    return publish(root, signing, version=1)


def publish(root: jose.Jwk, signing: jose.Jwk, *, version: int) -> Keyset:
    """Store the signing key's public half and a keyset, signed by the root, that vouches for it."""
    now = timezone.now().replace(microsecond=0)
    public = jose.public_jwk(signing)
    cmds = sorted(KINDS - {FACTORY_RESET})
    with transaction.atomic():
        key, _made = IssuerKey.objects.get_or_create(
            kid=jose.kid16(public),
            defaults={"jwk": public, "commands": cmds, "not_before": now, "expires_at": now + KEY_LIFE},
        )
        token = jose.sign(_claims(key, root, version, now), TYP_KEYSET, root)
        return Keyset.objects.create(version=version, token=token, root_thumbprint=jose.thumbprint(root))


def _claims(key: IssuerKey, root: jose.Jwk, version: int, now: datetime) -> dict[str, object]:
    entry = {"jwk": key.jwk, "cmds": key.commands, "nbf": _unix(key.not_before), "exp": _unix(key.expires_at)}
    return {
        "iss": settings.REKEY_ORIGIN,
        "ver": version,
        "iat": _unix(now),
        "exp": _unix(now + KEYSET_LIFE),
        "keys": [entry],
        "roots": [jose.public_jwk(root)],
        "revoked": [],
    }


def _unix(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp())
