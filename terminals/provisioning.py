"""A fleet put into the database at once, paired and active, for load tests on demo installations only."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal.models import Merchant, Store
from terminals import jose
from terminals.fleet.unit import Unit
from terminals.models import Operator, Terminal, TerminalModel
from terminals.protocol import KINDS, new_id

MERCHANT = "898440158129999"
OPERATOR = "01"
CHUNK = 1000


class NotADemo(RuntimeError):
    """A real installation pairs its terminals one by one, with a code each."""


def fleet_store() -> Store:
    """The store all simulated terminals stand in. Raises NotADemo."""
    if not (settings.REKEY_DEMO or settings.DEBUG):
        raise NotADemo("Terminals are put in without pairing only where REKEY_DEMO or DEBUG is on.")
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
