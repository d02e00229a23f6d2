"""The same few merchants, operators and terminals in every test, and a till whose keys a test holds."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY

from portal.devices import SMSDevice, TOTPDevice
from portal.models import Merchant, Store, User
from portal.roles import Role
from terminals import jose
from terminals.models import Operator, Terminal, TerminalModel
from terminals.protocol import KINDS, PATH, TYP_AUTH, TYP_RECEIPT, new_id

FUMANLOU = {"number": "898440158120031", "legal_name": "福满楼", "phone": "+8613800002046"}
ANOTHER = {"number": "898440158120049", "legal_name": "春和里", "phone": "+8613800002054"}
OPERATORS = {"00": "主管", "01": "陈静", "03": "王芳", "05": "刘洋", "99": "维护"}
PASSWORD = "correct horse battery staple"

_serials = itertools.count(20260001)


def make_merchant(**facts: Any) -> Merchant:
    """福满楼, unless told otherwise; the one with this number if it is there already."""
    facts = {**FUMANLOU, **facts}
    return Merchant.objects.filter(number=facts["number"]).first() or Merchant.objects.create(**facts)


def make_other_merchant() -> Merchant:
    """A neighbour, who must never see anything of 福满楼."""
    return make_merchant(**ANOTHER)


def make_store(merchant: Merchant | None = None, name: str = "南门店") -> Store:
    """A store of the merchant."""
    return Store.objects.get_or_create(merchant=merchant or make_merchant(), name=name)[0]


def make_model(**facts: Any) -> TerminalModel:
    """The RK-100: digits only, ordinary operators 4 to 6 of them."""
    named = {"vendor": "Rekey", "name": "RK-100", **facts}
    key = {name: named.pop(name) for name in ("vendor", "name")}
    return TerminalModel.objects.get_or_create(**key, defaults=named)[0]


def make_terminal(merchant: Merchant | None = None, *, operators: bool = True, **facts: Any) -> Terminal:
    """A terminal not paired yet, with the five operators of the cast."""
    serial = next(_serials)
    row = {"name": "前台", "number": f"A{serial % 10**7:07}", "serial": f"RK{serial}", **facts}
    row.setdefault("store", make_store(merchant))
    row.setdefault("model", make_model())
    terminal = Terminal.objects.create(**row)
    for number, name in OPERATORS.items() if operators else ():
        make_operator(terminal, number, name)
    return terminal


def make_operator(terminal: Terminal, number: str = "03", name: str = "王芳") -> Operator:
    """An operator whose role follows from the number."""
    roles = {"00": Operator.Role.SUPERVISOR, "99": Operator.Role.MAINTENANCE}
    role = roles.get(number, Operator.Role.ORDINARY)
    return Operator.objects.create(terminal=terminal, number=number, name=name, role=role)


def make_owner(merchant: Merchant | None = None, username: str = "owner", *, app: bool = True) -> User:
    """The owner of a merchant, with an authenticator app; without one the phone is asked."""
    merchant = merchant or make_merchant()
    owner = User.objects.create_user(username, password=PASSWORD, merchant=merchant, phone=merchant.phone)
    SMSDevice.objects.create(user=owner, name="phone")
    if app:
        TOTPDevice.objects.create(user=owner, name="authenticator")
    return owner


def make_staff(username: str = "staff", *, superuser: bool = True) -> User:
    """Somebody at the support desk."""
    staff = User.objects.create_user(
        username, password=PASSWORD, is_staff=True, is_superuser=superuser, phone="+8613800002099"
    )
    SMSDevice.objects.create(user=staff, name="phone")
    return staff


def make_member(username: str, *roles: Role) -> User:
    """Somebody at the support desk with these roles and no other right."""
    member = make_staff(username, superuser=False)
    member.groups.set(Group.objects.filter(name__in=roles))
    return member


def make_partner(code: str = "898", username: str = "bank", *, app: bool = True) -> User:
    """Somebody at an acquirer whose merchant numbers begin with this code, with an authenticator app."""
    phone = f"+8613800005{code}"
    partner = User.objects.create_user(username, password=PASSWORD, acquirer_code=code, phone=phone)
    partner.groups.set(Group.objects.filter(name=Role.PARTNER))
    SMSDevice.objects.create(user=partner, name="phone")
    if app:
        TOTPDevice.objects.create(user=partner, name="authenticator")
    return partner


def signed_in(user: User, *, second_factor: bool = True) -> Client:
    """A browser in which this user is signed in; without the second factor when told so."""
    client = Client()
    client.force_login(user)
    if second_factor:
        session = client.session
        session[DEVICE_ID_SESSION_KEY] = SMSDevice.objects.get(user=user).persistent_id
        session.save()
    return client


@dataclass
class PairedTill:
    """A terminal row that is active, and the private keys of the machine behind it."""

    terminal: Terminal
    sign_key: dict[str, str]
    open_key: dict[str, str]
    hwm: int = 0

    def bearer(self, **changes: Any) -> str:
        """A bearer as a well-behaved terminal makes it; a change to None removes the claim."""
        now = int(time.time())
        claims = {
            "iss": self.terminal.id, "aud": audience(), "iat": now - 60, "exp": now + 480,
            "jti": new_id("rcp")[4:],
        }  # fmt: skip
        return self.sign(claims, TYP_AUTH, changes)

    def authorization(self) -> dict[str, str]:
        """Headers of a request to the terminal API, as Django's test client takes them."""
        return {"Authorization": f"Bearer {self.bearer()}"}

    def receipt(self, token: str, st: str = "applied", **changes: Any) -> str:
        """A receipt for a command token, which is read without checking who signed it."""
        now, command = int(time.time()), payload(token)
        claims = {
            "iss": self.terminal.id, "aud": audience(), "iat": now, "jti": new_id("rcp"),
            "sub": command["jti"], "cid": command["cid"], "seq": command["seq"], "tok": jose.digest(token),
            "st": st, "at": now, "hwm": max(self.hwm, command["seq"]),
        }  # fmt: skip
        return self.sign(claims, TYP_RECEIPT, changes)

    def sign(self, claims: dict[str, Any], typ: str, changes: dict[str, Any]) -> str:
        """Sign the changed claims with the terminal's key."""
        changed = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jose.sign(changed, typ, self.sign_key)

    def open(self, token: str) -> dict[str, Any]:
        """The plaintext of the sealed part of a command token."""
        command = payload(token)
        return jose.open_sealed(command["sealed"], self.open_key, command["cid"])


def pair_on_paper(terminal: Terminal | None = None) -> PairedTill:
    """Give a terminal fresh keys and make it active without asking the server to."""
    terminal = terminal or make_terminal()
    sign_key, open_key = jose.generate_key(jose.SIGN), jose.generate_key(jose.SEAL)
    terminal.sign_key, terminal.enc_key = jose.public_jwk(sign_key), jose.public_jwk(open_key)
    terminal.sign_kid, terminal.enc_kid = jose.kid16(sign_key), jose.kid16(open_key)
    terminal.state = Terminal.State.ACTIVE
    terminal.activated_at = timezone.now()
    terminal.capabilities = {"keypad": "digits", "cmds": sorted(KINDS)}
    terminal.save()
    return PairedTill(terminal, sign_key, open_key)


def audience() -> str:
    """Whom bearers and receipts are meant for."""
    return f"{settings.REKEY_ORIGIN}{PATH}"


def payload(token: str) -> dict[str, Any]:
    """The claims of a compact JWS, whoever signed it."""
    claims: dict[str, Any] = jose._strict(jose.unb64u(token.split(".")[1]))
    return claims
