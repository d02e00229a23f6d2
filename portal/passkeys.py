"""Passkeys (W3C Web Authentication Level 3): what a browser is asked to sign, and whether it was signed.

A challenge is a row bound to a purpose and a subject, lives five minutes and counts once. The authenticator
has to have verified its person (a finger, a face, a PIN), so a passkey is two factors in one.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal.models import Challenge, Passkey, User
from portal.secrets import keyed_digest

log = structlog.get_logger(__name__)
REGISTER = "passkey-register"
LIFE = timedelta(minutes=5)
TIMEOUT_MS = 300_000
MOST = 10  # passkeys of one person
ID_CHARS = 16
LONGEST = 16_384  # characters of an answer; real ones have two thousand


class NotProved(Exception):
    """The answer proves nothing: forged, late, repeated, for somebody else, or not an answer at all."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who we are to an authenticator: a domain, and the one origin whose pages may ask."""

    id: str
    origin: str

    @property
    def host(self) -> str:
        """Host and port, as browsers name them."""
        return urlsplit(self.origin).netloc


def relying_party() -> RelyingParty:
    """The host of our origin. Authenticators know no addresses, so a loopback address is "localhost"."""
    parts = urlsplit(settings.REKEY_ORIGIN)
    host = parts.hostname or ""
    if _is_loopback(host):
        port = f":{parts.port}" if parts.port else ""
        return RelyingParty("localhost", f"{parts.scheme}://localhost{port}")
    return RelyingParty(host, settings.REKEY_ORIGIN)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def registration(user: User, subject: str) -> str:
    """What the browser needs to make a new passkey for this person, as JSON."""
    party = relying_party()
    options = generate_registration_options(
        rp_id=party.id,
        rp_name="Rekey",
        user_id=_handle(user),
        user_name=user.get_username(),
        user_display_name=user.get_username(),
        challenge=_ask(REGISTER, subject),
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_named(Passkey.objects.filter(user=user)),
    )
    return options_to_json(options)


def register(user: User, subject: str, response: str, name: str) -> Passkey:
    """Keep the passkey that the browser has just made. Raises NotProved."""
    party = relying_party()
    try:
        made = parse_registration_credential_json(response[:LONGEST])
        verified = verify_registration_response(
            credential=made,
            expected_challenge=_taken(REGISTER, subject, made),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception as error:
        raise _unproved(error) from error
    if Passkey.objects.filter(user=user).count() >= MOST:
        raise NotProved("enough of them")
    known, created = Passkey.objects.get_or_create(
        credential_id=bytes_to_base64url(verified.credential_id),
        defaults={
            "user": user,
            "name": name,
            "public_key": verified.credential_public_key,
            "sign_count": verified.sign_count,
        },
    )
    if not created:
        raise NotProved("it is somebody's already")
    return known


def assertion(purpose: str, subject: str, users: tuple[User, ...] = ()) -> str:
    """What the browser needs to sign with a passkey, as JSON.

    Without `users` whatever passkey the person picks will do, and nothing is told about who has one.
    """
    options = generate_authentication_options(
        rp_id=relying_party().id,
        challenge=_ask(purpose, subject),
        timeout=TIMEOUT_MS,
        allow_credentials=_named(Passkey.objects.filter(user__in=users)) if users else [],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def verify(purpose: str, subject: str, response: str) -> Passkey | None:
    """The passkey that signed the challenge given out for this purpose and subject; None when none did.

    Whose it is (`.user`), and whether that person may do what was asked, is for the caller to judge.
    """
    try:
        return _verified(purpose, subject, parse_authentication_credential_json(response[:LONGEST]))
    except Exception as error:  # noqa: BLE001 - whatever a parser raised, nothing was proved
        _unproved(error)
        return None


def _verified(purpose: str, subject: str, signed: AuthenticationCredential) -> Passkey:
    challenge, party = _taken(purpose, subject, signed), relying_party()
    passkey = Passkey.objects.select_related("user__merchant").get(credential_id=signed.id, confirmed=True)
    verified = verify_authentication_response(
        credential=signed,
        expected_challenge=challenge,
        expected_rp_id=party.id,
        expected_origin=party.origin,
        credential_public_key=bytes(passkey.public_key),
        credential_current_sign_count=passkey.sign_count,
        require_user_verification=True,
    )
    handle = signed.response.user_handle
    if handle and not hmac.compare_digest(handle, _handle(passkey.user)):
        raise NotProved("the authenticator names somebody else")
    as_read = Passkey.objects.filter(pk=passkey.pk, sign_count=passkey.sign_count)
    if as_read.update(sign_count=verified.new_sign_count, last_used_at=timezone.now()) != 1:
        raise NotProved("used elsewhere at the same moment")
    return passkey


def _ask(purpose: str, subject: str) -> bytes:
    expires = timezone.now() + LIFE
    return _bytes_of(Challenge.objects.create(purpose=purpose, subject=subject, expires_at=expires).id)


def _bytes_of(challenge_id: str) -> bytes:
    """What is signed for a row: its id, and 128 bits that only we can add to it."""
    return challenge_id.encode() + bytes.fromhex(keyed_digest("passkey", challenge_id)[:32])


def _taken(purpose: str, subject: str, answer: AuthenticationCredential | RegistrationCredential) -> bytes:
    """The challenge that was answered, used up from now on. Raises NotProved when it was not open here."""
    said = parse_client_data_json(answer.response.client_data_json).challenge
    challenge_id = said[:ID_CHARS].decode("ascii")
    if not hmac.compare_digest(said, _bytes_of(challenge_id)):
        raise NotProved("not our challenge")
    now = timezone.now()
    mine = Challenge.objects.filter(id=challenge_id, purpose=purpose, subject=subject)
    if mine.filter(used_at__isnull=True, expires_at__gt=now).update(used_at=now) != 1:
        raise NotProved("the challenge is over")
    return said


def _handle(user: User) -> bytes:
    """How authenticators know a person: 256 bits that say nothing about anybody."""
    return bytes.fromhex(keyed_digest("passkey-user", str(user.pk)))


def _named(passkeys: QuerySet[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential_id)) for one in passkeys]


def _unproved(error: Exception) -> NotProved:
    log.info("passkey_refused", reason=type(error).__name__)
    return NotProved()
