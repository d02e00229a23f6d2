"""Make a support account: a generated password and an authenticator app, both shown once."""

from __future__ import annotations

import io
import secrets
from typing import Any

import segno
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from portal.audit import Tag, record
from portal.devices import TOTPDevice
from portal.models import User

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that is misread
GROUPS, LETTERS = 5, 5


def new_password() -> str:
    """Five groups of five letters and digits: 125 random bits to copy once."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(GROUPS))


class Command(BaseCommand):
    """`manage.py enrollstaff <username>`."""

    help = "Makes a support account with a generated password and an authenticator app; prints both once."

    def add_arguments(self, parser: CommandParser) -> None:
        """The name, and whether the account may do everything."""
        parser.add_argument("username")
        parser.add_argument("--superuser", action="store_true", help="may hand out rights as well")
        parser.add_argument("--renew", action="store_true", help="the account exists: replace both secrets")

    def handle(self, *args: Any, username: str, superuser: bool, renew: bool, **options: Any) -> None:
        """Make or renew the account, then print what its owner has to take down."""
        password = new_password()
        with transaction.atomic():
            user = self._account(username, superuser=superuser, renew=renew)
            user.set_password(password)
            user.full_clean(exclude=["password"])
            user.save()
            TOTPDevice.objects.filter(user=user).delete()
            app = TOTPDevice.objects.create(user=user, name="authenticator")
            record(Tag.ACCOUNT_ENROLLED, actor="manage", subject=f"user:{user.pk}", renewed=renew)
        self.stdout.write(
            f"User name: {username}\nPassword:  {password}\n\nScan this with an authenticator app:\n"
        )
        picture = io.StringIO()
        segno.make_qr(app.enrolment_uri()).terminal(out=picture, compact=True)
        self.stdout.write(picture.getvalue())
        self.stdout.write(f"\nor type the address by hand: {app.enrolment_uri()}\nNeither is shown again.")

    def _account(self, username: str, *, superuser: bool, renew: bool) -> User:
        known = User.objects.filter(username=username).first()
        if renew:
            if known is None or not known.is_staff:
                raise CommandError(f"There is no support account {username!r}.")
            return known
        if known is not None:
            raise CommandError(f"{username!r} exists; --renew replaces its password and authenticator.")
        return User(username=username, is_staff=True, is_superuser=superuser)
