"""Signing in: a password under limits, then a second factor on a page of its own.

Between the two the session holds ids only, and its key changes at each step. Unknown accounts walk the same
road as known ones: same queries, one hash, same words.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.signals import user_logged_out
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django_otp.models import Device

from portal import factors, passkeys
from portal.alarms import raise_alarm
from portal.audit import Tag, record
from portal.challenges import Outcome
from portal.devices import SMSDevice, TOTPDevice
from portal.limits import spend
from portal.models import Challenge, Merchant, Passkey, User
from portal.network import address_block, client_address
from portal.secrets import keyed_digest

KEY = "pending_sign_in"
PASSKEY = "passkey-sign-in"
BACKEND = "django.contrib.auth.backends.ModelBackend"
PENDING_S = 600
HASHES_AT_ONCE = 2
HASHES_WAITING = 8
BUSY_S = 5


class WrongPassword(Exception):
    """Name and password do not belong together, or not to this door; which of it is not told."""


class TooBusy(Exception):
    """Too many passwords are being checked at once."""


@dataclass(frozen=True, slots=True)
class Door:
    """One entrance: who may use it, its two pages and where it leads, as URL names."""

    name: str
    page: str
    code_page: str
    home: str

    def admits(self, user: User) -> bool:
        """Whether this person belongs at this door."""
        if self.name == "staff":
            return user.is_active and user.is_staff
        if self.name == "partner":
            return user.is_active and user.acquirer_code != ""
        merchant = user.merchant
        return user.is_active and merchant is not None and merchant.status == Merchant.Status.ACTIVE


OWNERS = Door("owner", "portal:sign_in", "portal:sign_in_code", "terminals:home")
PARTNERS = Door("partner", "recovery:partner_sign_in", "recovery:partner_code", "recovery:partner")
STAFF = Door("staff", "admin:login", "admin:login_code", "admin:index")


class HashSlots:
    """Argon2 takes 19 MiB a time on purpose: two at once in a process, eight more waiting, then TooBusy."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._slots = threading.BoundedSemaphore(at_once)
        self._places = threading.BoundedSemaphore(at_once + waiting)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one slot. Raises TooBusy at once when the queue is full."""
        if not self._places.acquire(blocking=False):
            raise TooBusy
        try:
            with self._slots:
                yield
        finally:
            self._places.release()


hashing = HashSlots(HASHES_AT_ONCE, HASHES_WAITING)


Factor = SMSDevice | TOTPDevice | Passkey


@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody whose password was right and whose code is still to come."""

    user: User
    device: Factor
    next: str

    @property
    def challenge(self) -> Challenge | None:
        """The texted challenge, if the device has one."""
        return Challenge.objects.filter(id=self.device.pending).first()


def check_password(request: HttpRequest, door: Door, username: str, password: str, next: str) -> None:
    """Step one. On success the session remembers who waits for which code, under a new key.

    Raises WrongPassword, TooMany when a limit is used up (before anything is looked up) and TooBusy.
    """
    device = factor_behind(request, door, username, password)
    if isinstance(device, SMSDevice):
        device.generate_challenge()
    _remember(request, door, device, next)


def factor_behind(request: HttpRequest, door: Door, username: str, password: str) -> Factor:
    """The second factor of whoever knows this password; nothing moves but the limits. Raises the same."""
    account = username.strip().casefold()
    block = address_block(client_address(request))
    spend("password-per-account-and-address", f"{account} {block}")
    spend("password-per-account", account)
    with hashing.one():
        user = authenticate(request, username=username, password=password)
    device = device_of(user) if isinstance(user, User) and door.admits(user) else None
    if device is None:
        subject = trail_name(account)
        record(Tag.SIGN_IN_REFUSED, actor="anonymous", subject=subject, door=door.name, step="password")
        raise WrongPassword
    return device


def trail_name(username: str) -> str:
    """How the audit trail names what somebody typed as their name: findable for who knows it."""
    return "account:" + keyed_digest("account", username.strip().casefold())[:32]


def device_of(user: User) -> Factor | None:
    """The second factor to ask for: app, passkey, phone, the first that there is. None when there is none.

    A text is as good as whoever holds the phone number today, so it is not asked where a better one is.
    """
    app = TOTPDevice.objects.filter(user=user, confirmed=True).first()
    better = app or Passkey.objects.filter(user=user).first()
    if better is not None:
        return better
    phone = SMSDevice.objects.filter(user=user, confirmed=True).first()
    return phone if user.phone else None


def _remember(request: HttpRequest, door: Door, device: Factor, next: str) -> None:
    if request.user.is_authenticated:
        request.session.flush()
    else:
        request.session.cycle_key()
    request.session[KEY] = {
        "door": door.name,
        "device": device.persistent_id,
        "challenge": device.pending,
        "next": next,
        "until": int(time.time()) + PENDING_S,
    }


def pending(request: HttpRequest, door: Door) -> Pending | None:
    """Who waits for a code at this door in this browser, judged anew from the rows."""
    kept = request.session.get(KEY)
    if not kept or kept["door"] != door.name or kept["until"] <= time.time():
        return None
    device = Device.from_persistent_id(kept["device"])
    if not isinstance(device, Factor) or not device.confirmed or not door.admits(device.user):
        return None
    device.pending = kept["challenge"]
    return Pending(device.user, device, kept["next"])


def check_code(request: HttpRequest, door: Door, waiting: Pending, text: str) -> Outcome:
    """Step two. When the code is right the person is signed in and verified, under a new session key."""
    outcome = waiting.device.judge(text)
    actor = f"user:{waiting.user.pk}"
    if not outcome.ok:
        facts = {"door": door.name, "step": "code", "reason": outcome.reason}
        record(Tag.SIGN_IN_REFUSED, actor=actor, merchant=waiting.user.merchant, **facts)
        return outcome
    del request.session[KEY]
    let_in(request, door, waiting.device)
    return outcome


def let_in(request: HttpRequest, door: Door, device: Factor) -> None:
    """Sign in the person whose device has just proved it, in a session of its own key."""
    user = device.user
    # Django-otp's receiver of the login signal notes the device in the session.
    user.otp_device = device
    login(request, user, backend=BACKEND)
    record(Tag.SIGN_IN, actor=f"user:{user.pk}", merchant=user.merchant, door=door.name, factor=device.kind)
    if user.is_superuser:
        raise_alarm(Tag.SUPERUSER_IN, by=f"user:{user.pk}")


def check_passkey(request: HttpRequest, door: Door, subject: str, response: str) -> bool:
    """Sign in whoever's passkey signed the challenge given to this browser, if this is their door."""
    passkey = passkeys.verify(PASSKEY, subject, response)
    if passkey is None or not door.admits(passkey.user):
        record(Tag.SIGN_IN_REFUSED, actor="anonymous", door=door.name, step="passkey")
        return False
    if request.user.is_authenticated:
        request.session.flush()
    let_in(request, door, passkey)
    return True


def sign_out(request: HttpRequest) -> None:
    """End the session on the server."""
    logout(request)


@receiver(user_logged_out)
def note_sign_out(user: User | None, **_: Any) -> None:
    """Every way out is on record: our own, the admin's, and the clock's."""
    if user is not None:
        record(Tag.SIGN_OUT, actor=f"user:{user.pk}", merchant=user.merchant)


def is_verified(user: object) -> bool:
    """Whether this person has passed the second factor in this session."""
    return getattr(user, "otp_device", None) is not None


def owner_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Like `owner_signed_in`, and the owner has a second factor stronger than texts, or sets one up first."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = request.user
        assert isinstance(user, User)
        return view(request, *args, **kwargs) if factors.has_strong(user) else redirect("portal:secure")

    return owner_signed_in(guarded)


def owner_signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Open a page to verified owners of an active merchant only; others are sent to sign in, staff get a 403.

    The view may rely on `request.user.merchant`.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = request.user
        if not user.is_authenticated or not is_verified(user):
            return redirect_to_login(request.get_full_path())
        if not OWNERS.admits(user):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def partner_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Open a page to verified partners only; strangers are sent to their door, everybody else gets a 403."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = request.user
        if not user.is_authenticated or not is_verified(user):
            return redirect_to_login(request.get_full_path(), PARTNERS.page)
        if not PARTNERS.admits(user):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded
