"""Make a support account, or a partner's: a generated password and an authenticator app, both shown once."""

from __future__ import annotations

import io
import secrets
from typing import Any

import segno
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from portal.audit import Tag, record
from portal.devices import TOTPDevice
from portal.models import User
from portal.roles import Role

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that is misread
GROUPS, LETTERS = 5, 5
# Partners are no staff: they have a desk of their own.
OF_STAFF = [role.value for role in Role if role is not Role.PARTNER]


def new_password() -> str:
    """Five groups of five letters and digits: 125 random bits to copy once."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(GROUPS))


class Command(BaseCommand):
    """`manage.py enrollstaff <username>`."""

    help = "Makes a support account with a generated password and an authenticator app; prints both once."

    def add_arguments(self, parser: CommandParser) -> None:
        """The name, its roles, or whether the account may do everything."""
        parser.add_argument("username")
        parser.add_argument("--role", action="append", choices=OF_STAFF, default=[], help="may be repeated")
        parser.add_argument("--partner", default="", metavar="CODE", help="of an acquirer, such as 898")
        parser.add_argument("--superuser", action="store_true", help="may hand out rights as well")
        parser.add_argument("--renew", action="store_true", help="the account exists: replace both secrets")

    def handle(
        self,
        *args: Any,
        username: str,
        role: list[str],
        partner: str,
        superuser: bool,
        renew: bool,
        **options: Any,
    ) -> None:
        """Make or renew the account, then print what its owner has to take down."""
        if partner and (role or superuser):
            raise CommandError("A partner has that role alone.")
        password = new_password()
        with transaction.atomic():
            user = self._account(username, superuser=superuser, renew=renew, partner=partner)
            user.set_password(password)
            try:
                user.full_clean(exclude=["password"])
            except ValidationError as error:
                raise CommandError(" ".join(error.messages)) from None
            user.save()
            user.groups.add(*Group.objects.filter(name__in=[*role, *([Role.PARTNER] if partner else [])]))
            TOTPDevice.objects.filter(user=user).delete()
            app = TOTPDevice.objects.create(user=user, name="authenticator")
            record(Tag.ACCOUNT_ENROLLED, actor="manage", subject=f"user:{user.pk}", renewed=renew, roles=role)
        self.stdout.write(
            f"User name: {username}\nPassword:  {password}\n\nScan this with an authenticator app:\n"
        )
        picture = io.StringIO()
        segno.make_qr(app.enrolment_uri()).terminal(out=picture, compact=True)
        self.stdout.write(picture.getvalue())
        self.stdout.write(f"\nor type the address by hand: {app.enrolment_uri()}\nNeither is shown again.")

    def _account(self, username: str, *, superuser: bool, renew: bool, partner: str) -> User:
        known = User.objects.filter(username=username).first()
        if renew:
            if known is None or not (known.is_staff or known.acquirer_code):
                raise CommandError(f"There is no support account {username!r}.")
            return known
        if known is not None:
            raise CommandError(f"{username!r} exists; --renew replaces its password and authenticator.")
        return User(username=username, is_staff=not partner, is_superuser=superuser, acquirer_code=partner)
