"""Issuer keys and the keysets that list them: in turn, each vouched for by a root (protocol §7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.audit import Tag, record
from terminals import jose
from terminals.claims import IssuerKeyEntry, KeysetClaims, parse_keyset
from terminals.keys import roots
from terminals.keys.keyfiles import RESET_FILE, ROOT_FILE, SIGNING_FILE, free_name, load_or_make
from terminals.models import IssuerKey, Keyset
from terminals.protocol import FACTORY_RESET, KEYSET_MAX, KINDS, TOKEN_LIFETIME_MAX, TYP_KEYSET, ProtocolError

log = structlog.get_logger(__name__)

# A year waiting, a year in use, and what terminals that were dark need after that.
KEY_LIFE: Final = timedelta(days=900)
KEYSET_LIFE: Final = timedelta(days=400)
# A terminal that has not met the new key yet gets tokens by the one before for this long, and that one is
# listed until the last of them has ended, and a week more.
LAG: Final = timedelta(days=90)
KEEP: Final = LAG + timedelta(seconds=TOKEN_LIFETIME_MAX) + timedelta(days=7)

# What terminals read (see `claims.parse_keyset`).
KEYS_MAX: Final = 16

Scope = tuple[str, ...]
ORDINARY: Final[Scope] = tuple(sorted(KINDS - {FACTORY_RESET}))
RESET: Final[Scope] = (FACTORY_RESET,)
FILES: Final = {ORDINARY: SIGNING_FILE, RESET: RESET_FILE}

State = Literal["prepared", "next", "current", "previous", "retired", "revoked"]


class NoKeyset(LookupError):
    """There is no such keyset; `manage.py issuerkeys init` makes the first one."""


class NotAccepted(ValueError):
    """A keyset that no terminal would take, or that says what we did not prepare; the text says why."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An issuer key and where it stands; `signs_until` is when new tokens by it end at the latest."""

    key: IssuerKey
    state: State
    signs_until: datetime

    @property
    def scope(self) -> Scope:
        """Factory resets, or everything else; no key does both."""
        return RESET if FACTORY_RESET in self.key.commands else ORDINARY

    def is_needed(self, now: datetime) -> bool:
        """Whether the next keyset must list it, because a token by it may still have to be verified."""
        if self.state == "previous":
            return now < self.signs_until - LAG + KEEP
        return self.state in ("next", "current")


@dataclass(frozen=True, slots=True)
class Request:
    """A keyset that waits for a root's signature: its claims, and the roots that may give it."""

    claims: dict[str, Any]
    signers: tuple[str, ...]


_changes = 0


def changes() -> int:
    """How often this process has changed how keys stand; whoever remembers standings asks."""
    return _changes


def changed() -> None:
    """Keys stand differently from now on."""
    global _changes  # noqa: PLW0603 - one number for the process is the point
    _changes += 1


# --- what is published ------------------------------------------------------------------------------------


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


def content(published: Keyset) -> KeysetClaims:
    """What a published keyset says."""
    raw, _root = jose.verify_self_vouched(published.token, TYP_KEYSET, "roots")
    return parse_keyset(raw)


def standings() -> list[Standing]:
    """Every issuer key and where it stands, the one that took over last first; one query."""
    keys = sorted(
        IssuerKey.objects.order_by("file"), key=lambda key: key.activated_at or key.not_before, reverse=True
    )
    newest = max((key.last_version or 0 for key in keys), default=0)
    later: dict[Scope, datetime] = {}
    found = []
    for key in keys:
        scope = RESET if FACTORY_RESET in key.commands else ORDINARY
        successor = later.get(scope)
        ends = key.expires_at - timedelta(seconds=TOKEN_LIFETIME_MAX)
        until = ends if successor is None else min(ends, successor + LAG)
        found.append(Standing(key, _state(key, newest, superseded=successor is not None), until))
        if key.activated_at is not None and key.revoked_at is None:
            later.setdefault(scope, key.activated_at)
            later[scope] = key.activated_at
    return found


def _state(key: IssuerKey, newest: int, *, superseded: bool) -> State:
    if key.revoked_at is not None:
        return "revoked"
    if key.last_version is None:
        return "prepared"
    if key.last_version < newest:
        return "retired"
    if key.activated_at is None:
        return "next"
    return "previous" if superseded else "current"


# --- what is to be published ------------------------------------------------------------------------------


def draft(folder: Path, *, rotate: bool = False, new_roots: Sequence[jose.Jwk] | None = None) -> Request:
    """The keyset that should follow: what is needed still, one key ahead, and with `rotate` new keys.

    Key files that are missing are made in `folder`; until the keyset is published nobody uses them. Raises
    NoKeyset when there is none to follow and no root is named, NotAccepted for more keys than terminals read.
    """
    newest = Keyset.objects.first()
    trusted = content(newest).roots if newest else ()
    listed_roots = [jose.public_jwk(root) for root in (new_roots or trusted)]
    if not listed_roots:
        raise NoKeyset("the first keyset needs a root")
    now = timezone.now().replace(microsecond=0)
    # Oldest first: the order in which they come into use.
    stay = [one for one in reversed(standings()) if newest is not None and one.is_needed(now)]
    added = _new_keys(folder, stay, now, rotate=rotate)
    if len(stay) + len(added) > KEYS_MAX:
        raise NotAccepted(f"a keyset lists at most {KEYS_MAX} keys, and all are needed: rotate less often")
    version = newest.version + 1 if newest else 1
    known = {jose.thumbprint(root) for root in trusted}
    signers = [jose.thumbprint(root) for root in listed_roots]
    return Request(
        _claims([one.key for one in stay] + added, listed_roots, version, now),
        tuple(signer for signer in signers if not known or signer in known),
    )


def _new_keys(folder: Path, stay: Iterable[Standing], now: datetime, *, rotate: bool) -> list[IssuerKey]:
    """One ordinary key waits behind the one in use; the reset key has no reserve."""
    states = [(one.scope, one.state) for one in stay]
    waiting = states.count((ORDINARY, "next"))
    wanted = 1 + (waiting if rotate else 0) if (ORDINARY, "current") in states else 2
    resets = 1 if rotate or (RESET, "current") not in states else 0
    scopes = [ORDINARY] * max(0, wanted - waiting) + [RESET] * resets
    made: list[IssuerKey] = []
    for scope in scopes:
        made.append(_prepared(folder, scope, [key.kid for key in made]) or _prepare(folder, scope))
        made[-1].not_before, made[-1].expires_at = now, now + KEY_LIFE
        made[-1].save()
    return made


def _prepared(folder: Path, scope: Scope, besides: Sequence[str]) -> IssuerKey | None:
    """A key that an earlier draft made and that was never published."""
    newest = Keyset.objects.first()
    published = newest.version if newest else 0
    for key in IssuerKey.objects.filter(revoked_at__isnull=True).exclude(kid__in=besides).order_by("file"):
        unheard = key.first_version is None or key.first_version > published
        if unheard and tuple(key.commands) == scope and (folder / key.file).is_file():
            return key
    return None


def _prepare(folder: Path, scope: Scope) -> IssuerKey:
    named = set(IssuerKey.objects.values_list("file", flat=True))
    first = FILES[scope]
    if (folder / first).is_file() and not IssuerKey.objects.filter(file=first).exists():
        name = first  # made before its row was: by somebody who was stopped, or who is at it right now
    else:
        name = free_name(first, named | {path.name for path in folder.glob("*.jwk")})
    public = jose.public_jwk(load_or_make(folder / name))
    now = timezone.now()
    facts = {"jwk": public, "commands": list(scope), "not_before": now, "expires_at": now, "file": name}
    return IssuerKey.objects.get_or_create(kid=jose.kid16(public), defaults=facts)[0]


def _claims(
    keys: Iterable[IssuerKey], listed_roots: list[dict[str, str]], version: int, now: datetime
) -> dict[str, Any]:
    gone = IssuerKey.objects.filter(revoked_at__isnull=False, expires_at__gt=now).order_by("-revoked_at")
    return {
        "iss": settings.REKEY_ORIGIN,
        "ver": version,
        "iat": _unix(now),
        "exp": _unix(now + KEYSET_LIFE),
        "keys": [
            {"jwk": key.jwk, "cmds": key.commands, "nbf": _unix(key.not_before), "exp": _unix(key.expires_at)}
            for key in keys
        ],
        "roots": listed_roots,
        "revoked": list(gone.values_list("kid", flat=True)[:64]),
    }


def _unix(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp())


# --- publishing -------------------------------------------------------------------------------------------


def init_keys(folder: Path) -> Keyset:
    """Make a root key, issuer keys and keyset 1, or return what is there. Key files are 0600.

    The root is written in the clear; whoever wants it elsewhere or encrypted makes it first (docs).
    """
    existing = Keyset.objects.first()
    if existing is not None:
        return existing
    root = load_or_make(folder / ROOT_FILE)
    request = draft(folder, new_roots=[root])
    try:
        return publish(roots.sign(request.claims, root))
    except NotAccepted:  # somebody else was at it at the same time
        return current_keyset()


def publish(token: str, by: str = "console") -> Keyset:
    """Take a keyset that a root has signed, check it as terminals will, and act on it. Raises NotAccepted.

    What it lists is in force at once: of the keys that waited all but the last are used from now on, and what
    it revokes signs nothing any more.
    """
    claims, root = _acceptable(token.strip())
    now = timezone.now()
    try:
        with transaction.atomic():
            published = Keyset.objects.create(
                version=claims.ver, token=token.strip(), root_thumbprint=jose.thumbprint(root)
            )
            listed = [_listed(entry, claims.ver) for entry in claims.keys]
            revoked = IssuerKey.objects.filter(kid__in=claims.revoked, revoked_at__isnull=True)
            revoked.update(revoked_at=now)
            _put_to_use(listed, claims.revoked, now)
            record(Tag.KEYSET_PUBLISHED, actor=by, subject=f"keyset:{claims.ver}")
    except IntegrityError:
        raise NotAccepted(f"keyset {claims.ver} is published already") from None
    changed()
    log.info("keyset_published", version=claims.ver)
    return published


def _acceptable(token: str) -> tuple[KeysetClaims, jose.Jwk]:
    newest = Keyset.objects.first()
    try:
        raw, root = jose.verify_self_vouched(token, TYP_KEYSET, "roots")
        claims = parse_keyset(raw)
        for jwk in (*claims.roots, *(entry.jwk for entry in claims.keys)):
            jose.validate_public_key(jwk, jose.SIGN)
    except (jose.JoseError, ProtocolError) as error:
        raise NotAccepted(f"not a keyset signed by one of its roots: {error}") from None
    wanted = newest.version + 1 if newest else 1
    faults = {
        f"it is for {claims.iss}, not for {settings.REKEY_ORIGIN}": claims.iss != settings.REKEY_ORIGIN,
        f"it is keyset {claims.ver}, and {wanted} is next": claims.ver != wanted,
        "it has run out": claims.exp <= _unix(timezone.now()),
        "it is too long": len(token) > KEYSET_MAX,
        "a key in it may do factory resets and other things": any(map(_does_both, claims.keys)),
        "terminals do not know the root that signed it": newest is not None
        and jose.public_jwk(root) not in [jose.public_jwk(known) for known in content(newest).roots],
    }
    for fault, holds in faults.items():
        if holds:
            raise NotAccepted(fault)
    return claims, root


def _does_both(entry: IssuerKeyEntry) -> bool:
    return FACTORY_RESET in entry.cmds and len(entry.cmds) > 1


def _listed(entry: IssuerKeyEntry, version: int) -> IssuerKey:
    """The row of a listed key; made here when a restored database has lost it."""
    window = {"not_before": _moment(entry.nbf), "expires_at": _moment(entry.exp), "last_version": version}
    key, _new = IssuerKey.objects.update_or_create(
        kid=jose.kid16(entry.jwk),
        defaults=window,
        create_defaults={**window, "jwk": jose.public_jwk(entry.jwk), "commands": sorted(entry.cmds)},
    )
    IssuerKey.objects.filter(pk=key.pk, first_version__isnull=True).update(first_version=version)
    return key


def _put_to_use(listed: Iterable[IssuerKey], revoked: Iterable[str], now: datetime) -> None:
    waiting = [key for key in listed if key.activated_at is None and key.kid not in set(revoked)]
    ordinary = [key.kid for key in waiting if FACTORY_RESET not in key.commands]
    kids = ordinary[:-1] + [key.kid for key in waiting if FACTORY_RESET in key.commands]
    IssuerKey.objects.filter(kid__in=kids, activated_at__isnull=True).update(activated_at=now)


def _moment(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
