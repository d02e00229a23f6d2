"""Fills an empty database with the demo's one shop; run again, it changes nothing."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand
from django.db import transaction

from portal.devices import SMSDevice
from portal.entry import invitations
from portal.models import Invitation, Merchant, Store, User
from portal.paper import draw, read, written
from portal.roles import Role
from terminals.models import Operator, Terminal, TerminalModel

MERCHANT = "898440158120031"
TERMINAL = "A0012345"
PHONE = "+8613800002046"
STAFF_PHONE = "+8613800002099"
OPERATORS = {
    "00": ("主管", Operator.Role.SUPERVISOR),
    "01": ("陈静", Operator.Role.ORDINARY),
    "03": ("王芳", Operator.Role.ORDINARY),
    "05": ("刘洋", Operator.Role.ORDINARY),
    "99": ("维护", Operator.Role.MAINTENANCE),
}
FACTORY = ["0000", "1234", "123456", "000000", "888888", "12345678", "00000000"]
DIGITS = {Operator.Role.ORDINARY: 4, Operator.Role.SUPERVISOR: 6, Operator.Role.MAINTENANCE: 8}


def digits(count: int) -> str:
    """A random password for the till's keypad."""
    return "".join(secrets.choice("0123456789") for _ in range(count))


class Command(BaseCommand):
    """`manage.py loaddemo`: the cast of the demo, and passwords made once into var/demo.json (0600)."""

    help = "Load the demo shop; passwords go to demo.json in the state folder."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing, in one transaction."""
        path = settings.REKEY_VAR / "demo.json"
        facts = self.facts(path)
        with transaction.atomic():
            merchant = self.shop()
            self.invitation(merchant, facts.get("invitation", ""))
            self.user(facts["owner"], PHONE, merchant=merchant)
            staff = self.user(facts["staff"], STAFF_PHONE, is_staff=True)
            staff.groups.set(Group.objects.filter(name=Role.AGENT))
            staff.user_permissions.clear()
        self.stdout.write(f"Demo shop {MERCHANT} is there; passwords are in {path}.")

    def facts(self, path: Path) -> dict[str, Any]:
        """Who is who in this demo: made on the first run, readable by its owner only, told by `make run`."""
        if path.exists():
            kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
            return kept
        made = {
            "merchant": {"number": MERCHANT, "name": "福满楼", "phone": PHONE},
            "owner": {"username": "owner", "password": secrets.token_urlsafe(12)},
            "invitation": written(draw()),
            "staff": {"username": "staff", "password": secrets.token_urlsafe(12)},
            "terminal": {"number": TERMINAL, "serial": "RK20260001", "name": "前台"},
            "operators": [
                {"number": number, "name": name, "password": digits(DIGITS[role])}
                for number, (name, role) in OPERATORS.items()
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(made, file, ensure_ascii=False, indent=2)
        return made

    def shop(self) -> Merchant:
        """The merchant with its store, terminal and operators."""
        merchant, _ = Merchant.objects.get_or_create(
            number=MERCHANT, defaults={"legal_name": "福满楼", "phone": PHONE}
        )
        store, _ = Store.objects.get_or_create(merchant=merchant, name="南门店")
        model, _ = TerminalModel.objects.get_or_create(
            vendor="Rekey", name="RK-100", defaults={"keypad": "digits", "factory_defaults": FACTORY}
        )
        terminal, _ = Terminal.objects.get_or_create(
            number=TERMINAL,
            defaults={"serial": "RK20260001", "name": "前台", "store": store, "model": model},
        )
        for number, (name, role) in OPERATORS.items():
            Operator.objects.get_or_create(
                terminal=terminal, number=number, defaults={"name": name, "role": role}
            )
        return merchant

    def invitation(self, merchant: Merchant, code: str) -> None:
        """One to try, for a second person of the shop."""
        if code and not Invitation.objects.filter(merchant=merchant).exists():
            invitations.keep(merchant, read(code), "demo")

    def user(self, login: dict[str, str], phone: str, **facts: Any) -> User:
        """Somebody who signs in with this password and a code to this phone."""
        user, made = User.objects.get_or_create(
            username=login["username"], defaults={"phone": phone, **facts}
        )
        if made:
            user.set_password(login["password"])
            user.save()
        SMSDevice.objects.get_or_create(user=user, defaults={"name": "phone", "confirmed": True})
        return user
