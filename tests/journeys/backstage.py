"""A shop with two tills that only exist on paper: `python -m tests.journeys.backstage VERB …` moves them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta

import django

django.setup()

from django.contrib.auth.models import Permission  # noqa: E402 - Django has to be set up first
from django.db.models import F  # noqa: E402
from django.utils import timezone  # noqa: E402

from portal import addresses, changes, recovery_codes  # noqa: E402
from portal.devices import TOTPDevice  # noqa: E402
from portal.messaging.outbox import note_report  # noqa: E402
from portal.models import Address, Challenge, Message, Passkey, User  # noqa: E402
from recovery import endings  # noqa: E402
from recovery.models import Recovery, Ticket  # noqa: E402
from terminals import commands  # noqa: E402
from terminals.models import Command  # noqa: E402
from tests import cast  # noqa: E402


def shop() -> None:
    """A neighbour of the demo's shop, with two tills that never call."""
    merchant = cast.make_other_merchant()
    for number, name in (("B0000001", "前台"), ("B0000002", "二楼")):
        cast.pair_on_paper(cast.make_terminal(merchant, number=number, serial=f"RK-{number}", name=name))


def newest() -> Command:
    """The newest command of the two tills."""
    return Command.objects.filter(terminal__number__startswith="B").order_by("-created_at")[0]


def move(state: str, reason: str = "") -> None:
    """The till has done something with its newest command."""
    command = newest()
    now = timezone.now()
    facts = {"fetched": {"fetched_at": now}, "applied": {"applied_at": now}}.get(state, {"reason": reason})
    assert commands.move(command, state, actor=command.terminal_id, **facts)


def answer() -> None:
    """The till has carried out its newest command, and says so: what follows from that follows."""
    commands.applied(newest(), timezone.now())


def trust(username: str) -> None:
    """This agent may register terminals, make pairing codes, and send and end commands."""
    named = ("add_terminal", "change_terminal", "add_command", "change_command", "change_terminalalert")
    rights = Permission.objects.filter(codename__in=named)
    User.objects.get(username=username).user_permissions.add(*rights)


def promote(username: str, yes: str) -> None:
    """This agent is a superuser, or is none."""
    User.objects.filter(username=username).update(is_superuser=yes == "yes")


def report(status: str, error: str = "") -> None:
    """The provider says what became of the newest message."""
    message = Message.objects.latest("created_at")
    assert note_report(message.callback_key, message.provider_id, status, error)


def forget(username: str) -> None:
    """This owner has nothing but a phone for codes, and no reset under way, as on the first day."""
    Recovery.objects.filter(merchant__users__username=username).update(expires_at=timezone.now())
    endings.give_up_expired(timezone.now())
    TOTPDevice.objects.filter(user__username=username).delete()
    Passkey.objects.filter(user__username=username).delete()


def app(username: str) -> None:
    """This owner has one authenticator app; its seed."""
    forget(username)
    print(TOTPDevice.objects.create(user=User.objects.get(username=username), name="app").seed)


def paper(username: str) -> None:
    """This owner's shop has a new sheet of recovery codes; the codes."""
    merchant = User.objects.get(username=username).merchant
    assert merchant is not None
    print("\n".join(recovery_codes.make(merchant, "backstage")))


def people(username: str, mailbox: str, phone: str) -> None:
    """This owner's shop has a mailbox and a recovery contact, and has had them for long."""
    merchant, long_ago = User.objects.get(username=username).merchant, timezone.now() - timedelta(days=4)
    mailbox_of, contact = {"kind": "email", "name": "信箱"}, {"kind": "phone", "name": "老周"}
    for holder, to, facts in (("owner", mailbox, mailbox_of), ("contact", phone, contact)):
        named = {"value": to, "holder": holder, "created_at": long_ago, **facts}
        digest = addresses.digest_of(to)
        Address.objects.get_or_create(merchant=merchant, digest=digest, retired_at=None, defaults=named)


def swap(username: str, phone: str) -> None:
    """Somebody at the desk has put this phone in the place of the registered one; the one that was."""
    merchant = User.objects.get(username=username).merchant
    assert merchant is not None
    old, merchant.phone = merchant.phone, phone
    merchant.save()
    changes.made_at_desk(merchant, old, "backstage")
    print(old)


def phone(username: str) -> None:
    """The registered phone of this owner's shop, as it is now."""
    merchant = User.objects.get(username=username).merchant
    assert merchant is not None
    print(merchant.phone)


def wait() -> None:
    """Half a minute has passed for everybody who waits for a code."""
    Challenge.objects.filter(used_at=None).update(last_sent_at=F("last_sent_at") - timedelta(seconds=30))


def ticket(number: str) -> None:
    """Where somebody stood who asked for a call; whether the shop had been proved."""
    case = Ticket.objects.get(number=number)
    print(case.step, case.merchant is not None)


VERBS: dict[str, Callable[..., None]] = {
    "shop": shop,
    "move": move,
    "answer": answer,
    "trust": trust,
    "report": report,
    "promote": promote,
    "forget": forget,
    "app": app,
    "paper": paper,
    "people": people,
    "swap": swap,
    "phone": phone,
    "wait": wait,
    "ticket": ticket,
}

if __name__ == "__main__":
    VERBS[sys.argv[1]](*sys.argv[2:])
