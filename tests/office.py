"""A back office beside a running stack: `python -m tests.office VERB JSON` puts rows in, takes facts out."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402 - Django has to be set up first
from django.db.models import F  # noqa: E402

from portal.entry import invitations  # noqa: E402
from portal.models import Challenge, Merchant, Message, Store  # noqa: E402
from recovery.models import Recovery  # noqa: E402
from terminals import commands as commands_of  # noqa: E402
from terminals.life import pairing_codes  # noqa: E402
from terminals.models import Command, Receipt, Terminal, TerminalModel  # noqa: E402
from terminals.protocol import SET_CREDENTIAL  # noqa: E402
from tests import cast  # noqa: E402


def shops(count: int, operators: int) -> list[dict[str, Any]]:
    """So many merchants with one till each, and so many ordinary operators on each till."""
    return [_shop(index, operators) for index in range(count)]


def _shop(index: int, operators: int) -> dict[str, Any]:
    phone = f"+8613800{index:03}{index % 97:02}7"
    number = f"89844015812{index:04}"
    merchant = Merchant.objects.create(number=number, legal_name=f"福满楼 {index}", phone=phone)
    store = Store.objects.create(merchant=merchant, name="南门店")
    facts: dict[str, Any] = {"store": store, "number": f"A{index:07}", "serial": f"RK2026{index:04}"}
    till = cast.make_terminal(operators=False, **facts)
    numbers = [f"{number:02}" for number in range(1, operators + 1)]
    for number in numbers:
        cast.make_operator(till, number, f"操作员 {number}")
    code = pairing_codes.create_pairing_code(till, "test").qr_text
    return {
        "shop": merchant.number,
        "phone": phone,
        "terminal": till.id,
        "serial": till.serial,
        "pairing_code": code,
        "operators": numbers,
    }


def commands() -> list[dict[str, Any]]:
    """Every command, with what its recovery says and how many receipts there are."""
    names = "id terminal_id operator_number state reason seq jti late recovery_ref attempt claims"
    rows = Command.objects.order_by("created_at").values(*names.split())
    recoveries = dict(Recovery.objects.exclude(command=None).values_list("command_id", "state"))
    return [row | {"recovery": recoveries.get(row["id"], "")} for row in rows]


def counts() -> dict[str, Any]:
    """How much there is of what."""
    return {
        "recoveries": Recovery.objects.count(),
        "receipts": Receipt.objects.count(),
        "messages": dict(Counter(map(" ".join, Message.objects.values_list("template", "state")))),
        "terminals": dict(Terminal.objects.values_list("id", "last_seq")),
    }


def full_keyboard() -> None:
    """Every till has letters and signs, so that a password can be told from everything else."""
    TerminalModel.objects.update(keypad="full", ordinary_min=8, ordinary_max=20)


def owner(number: str) -> dict[str, str]:
    """Somebody who signs in for this merchant, and has texts only so far."""
    user = cast.make_owner(Merchant.objects.get(number=number), app=False)
    return {"username": user.username, "password": cast.PASSWORD}


def invitation(number: str) -> str:
    """The code with which somebody of this merchant may open an account."""
    return invitations.invite(Merchant.objects.get(number=number), "office")


def rename(table: str, to: str) -> None:
    """Take a table away, or bring it back: every page that needs it breaks."""
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE "{table}" RENAME TO "{to}"')


def challenges(number: str) -> list[dict[str, Any]]:
    """The challenges of a merchant's recoveries: tries spent, texts sent, and whether they were met."""
    phone_of = Merchant.objects.get(number=number).phone
    rows = [row for row in Challenge.objects.order_by("created_at") if row.phone == phone_of]
    return [
        {
            "attempts": row.attempts,
            "sends": row.sends,
            "used": row.used_at is not None,
            "texts": row.messages.count(),
        }
        for row in rows
    ]


def pairing_code(terminal: str) -> str:
    """Another code for a terminal, as it is shown."""
    return pairing_codes.create_pairing_code(Terminal.objects.get(pk=terminal), "test").code


def reset(terminal: str, operator: str) -> str:
    """Send a terminal a new password for one of its operators; returns the command's id."""
    wanted: dict[str, Any] = {"sealed_password": "719402", "requested_by": "user:1"}
    row = Terminal.objects.get(pk=terminal)
    return commands_of.issue(row, SET_CREDENTIAL, operator_number=operator, **wanted).pk


def let_a_minute_pass() -> None:
    """The cool-down of every text is over."""
    Challenge.objects.update(last_sent_at=F("last_sent_at") - timedelta(seconds=61))


DOORS = (
    shops,
    commands,
    counts,
    full_keyboard,
    owner,
    invitation,
    rename,
    challenges,
    pairing_code,
    reset,
    let_a_minute_pass,
)
VERBS: dict[str, Callable[..., Any]] = {door.__name__: door for door in DOORS}

if __name__ == "__main__":
    json.dump(VERBS[sys.argv[1]](**json.loads(sys.argv[2])), sys.stdout, ensure_ascii=False)
