"""A fleet put into the database at once, paired and active, for load tests on demo installations only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal.models import Merchant, Store
from terminals import jose
from terminals.commands import issue
from terminals.fleet.unit import Unit
from terminals.models import Operator, Terminal, TerminalModel
from terminals.protocol import KINDS, SET_CREDENTIAL, new_id

MERCHANT = "898440158129999"
OPERATOR = "01"
CHUNK = 1000


class NotADemo(RuntimeError):
    """A real installation pairs its terminals one by one, with a code each."""


def insist_on_demo() -> None:
    """Raises NotADemo where real people could be meant."""
    if not (settings.REKEY_DEMO or settings.DEBUG):
        raise NotADemo("This is for demo installations, where REKEY_DEMO or DEBUG is on.")


def fleet_store() -> Store:
    """The store all simulated terminals stand in. Raises NotADemo."""
    insist_on_demo()
    merchant, _made = Merchant.objects.get_or_create(number=MERCHANT, defaults={"legal_name": "Fleet"})
    return Store.objects.get_or_create(merchant=merchant, name="Fleet")[0]


def register(serials: Sequence[str]) -> list[Unit]:
    """New active terminals with these serial numbers and one operator each. Raises NotADemo.

    A terminal's number is the end of its serial number. What is there already is left alone and returned
    with no id, for its keys are not ours.
    """
    store = fleet_store()
    model, _made = TerminalModel.objects.get_or_create(vendor="Rekey", name="RK-FLEET")
    known = set(Terminal.objects.filter(store=store).values_list("serial", flat=True))
    units = [Unit.fresh(serial, "" if serial in known else new_id("trm")) for serial in serials]
    fresh = [unit for unit in units if unit.tid]
    with transaction.atomic():
        for start in range(0, len(fresh), CHUNK):
            _store(fresh[start : start + CHUNK], store, model)
    return units


def _store(units: Sequence[Unit], store: Store, model: TerminalModel) -> None:
    Terminal.objects.bulk_create(_row(unit, store, model) for unit in units)
    Operator.objects.bulk_create(
        Operator(terminal_id=unit.tid, number=OPERATOR, name="Fleet") for unit in units
    )


def _row(unit: Unit, store: Store, model: TerminalModel) -> Terminal:
    sign_key, open_key = jose.public_jwk(unit.sign_key), jose.public_jwk(unit.open_key)
    return Terminal(
        id=unit.tid,
        store=store,
        model=model,
        name=unit.serial,
        number=unit.serial[-8:],
        serial=unit.serial,
        state=Terminal.State.ACTIVE,
        sign_key=sign_key,
        sign_kid=jose.kid16(sign_key),
        enc_key=open_key,
        enc_kid=jose.kid16(open_key),
        capabilities={"keypad": "digits", "cmds": sorted(KINDS)},
        activated_at=timezone.now(),
    )


def reset(terminal_id: str, password: str, note: Callable[[str], None]) -> None:
    """Set the password of the operator of such a terminal; `note` is told the command's id at the commit.

    Raises commands.CannotIssue.
    """
    terminal = Terminal.objects.get(pk=terminal_id)
    with transaction.atomic():
        issued: list[str] = []
        transaction.on_commit(lambda: note(issued[0]))
        command = issue(
            terminal, SET_CREDENTIAL, operator_number=OPERATOR, sealed_password=password, requested_by="fleet"
        )
        issued.append(command.id)
