"""Many terminals at once: registered from a list, all or none, and paired from a printed sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from portal.audit import Tag, record
from portal.models import Store
from terminals.life import pairing_codes
from terminals.life.bulk_reading import BadList, Line, Problem, read
from terminals.models import EnrollmentBatch, Terminal, TerminalModel
from terminals.protocol import SHEET_LIFETIME

POWER: Final[Mapping[str, str]] = {
    "": Terminal.Power.MAINS,
    **dict.fromkeys(("mains", "wifi", "wi-fi", "市电", "有线"), Terminal.Power.MAINS),
    **dict.fromkeys(("cellular", "battery", "4g", "移动", "电池"), Terminal.Power.CELLULAR),
}
UNPAIRED: Final = (Terminal.State.NEW, Terminal.State.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class SheetLine:
    """One terminal of a sheet, and its code, which is shown this once."""

    terminal: Terminal
    code: pairing_codes.IssuedCode


def check(raw: bytes) -> list[Terminal]:
    """The terminals of a list, not stored yet. Raises BadList with everything that is wrong with it."""
    lines, problems = read(raw)
    stores, models = _stores(lines), _models()
    problems += _repeated(lines) + _registered(lines)
    terminals = []
    for line in lines:
        try:
            terminals.append(_terminal(line, stores, models))
        except BadList as bad:
            problems += bad.problems
    if problems:
        raise BadList(problems)
    return terminals


def register(raw: bytes, name: str, by: str) -> EnrollmentBatch:
    """Store all terminals of a list, or none of them. Raises BadList."""
    try:
        return _store(check(raw), name, by)
    except IntegrityError:
        check(raw)  # somebody registered one of them at the same moment: now it can be named
        text = _("Somebody changed the same terminals at the same time. Upload the list again.")
        raise BadList([Problem(0, "", text)]) from None


def _store(terminals: Collection[Terminal], name: str, by: str) -> EnrollmentBatch:
    stores = {terminal.store_id: terminal.store for terminal in terminals}
    with transaction.atomic():
        only = next(iter(stores.values())) if len(stores) == 1 else None
        batch = EnrollmentBatch.objects.create(store=only, name=name, created_by=by)
        for terminal in terminals:
            terminal.batch = batch
            terminal.save(force_insert=True)
            merchant = terminal.store.merchant
            record(Tag.TERMINAL_ADDED, actor=by, merchant=merchant, subject=terminal.pk)
        record(Tag.BATCH_ADDED, actor=by, subject=f"batch:{batch.pk}", terminals=len(terminals))
    return batch


def plate(text: str) -> str:
    """A number from a sticker as it is stored: capitals, no spaces."""
    return "".join(text.split()).upper()


def _stores(lines: Iterable[Line]) -> dict[tuple[str, str], Store]:
    wanted = {plate(line.cells["merchant"]) for line in lines}
    rows = Store.objects.select_related("merchant").filter(merchant__number__in=wanted)
    return {(store.merchant.number, store.name): store for store in rows}


def _models() -> dict[str, TerminalModel | None]:
    """Models by vendor and name, and by name alone where that is one model; None where it is several."""
    models = list(TerminalModel.objects.all())
    names = Counter(model.name.lower() for model in models)
    short = {model.name.lower(): model if names[model.name.lower()] == 1 else None for model in models}
    return {**short, **{str(model).lower(): model for model in models}}


def _repeated(lines: Iterable[Line]) -> list[Problem]:
    """A number or serial that stands in the list before."""
    first: dict[tuple[str, str], int] = {}
    found = []
    for line in lines:
        for column in ("number", "serial"):
            before = first.setdefault((column, plate(line.cells[column])), line.line)
            if before != line.line:
                found.append(line.problem(column, _("The same stands in line %(line)s.") % {"line": before}))
    return found


def _registered(lines: Collection[Line]) -> list[Problem]:
    """A number or serial that some terminal has already."""
    found = []
    for column in ("number", "serial"):
        wanted = {plate(line.cells[column]): line for line in lines}
        taken = Terminal.objects.filter(**{f"{column}__in": wanted}).values_list(column, flat=True)
        text = _("A terminal with this is registered already.")
        found += [wanted[value].problem(column, text) for value in taken]
    return found


def _terminal(
    line: Line, stores: Mapping[tuple[str, str], Store], models: Mapping[str, TerminalModel | None]
) -> Terminal:
    """One terminal. Raises BadList with everything that is wrong in its line."""
    problems: list[Problem] = []
    terminal = Terminal(
        name=line.cells["name"], number=plate(line.cells["number"]), serial=plate(line.cells["serial"])
    )
    for fill in (
        partial(_choose_store, stores=stores), partial(_choose_model, models=models), _choose_power, _clean
    ):  # fmt: skip
        problems += fill(terminal, line)
    if problems:
        raise BadList(problems)
    return terminal


Fill = Callable[[Terminal, Line], list[Problem]]


def _choose_store(terminal: Terminal, line: Line, stores: Mapping[tuple[str, str], Store]) -> list[Problem]:
    number = plate(line.cells["merchant"])
    store = stores.get((number, line.cells["store"]))
    if store is not None:
        terminal.store = store
        return []
    if "E+" in number:
        return [
            line.problem("merchant", _("A spreadsheet has rounded this number. Format the column as text."))
        ]
    if any(known == number for known, _name in stores):
        return [line.problem("store", _("This merchant has no store of this name."))]
    return [line.problem("merchant", _("No merchant with a store has this number."))]


def _choose_model(
    terminal: Terminal, line: Line, models: Mapping[str, TerminalModel | None]
) -> list[Problem]:
    name = " ".join(line.cells["model"].lower().split())
    model = models.get(name)
    if model is not None:
        terminal.model = model
        return []
    if name in models:
        return [
            line.problem("model", _("Several vendors have a model of this name. Write the vendor before it."))
        ]
    return [line.problem("model", _("There is no such model."))]


def _choose_power(terminal: Terminal, line: Line) -> list[Problem]:
    power = POWER.get(line.cells.get("power", "").lower())
    if power is None:
        return [line.problem("power", _("Write mains or cellular, or nothing."))]
    terminal.power = power
    return []


def _clean(terminal: Terminal, line: Line) -> list[Problem]:
    """What the fields of a terminal ask for."""
    try:
        terminal.clean_fields(exclude=["store", "model", "power"])
    except ValidationError as error:
        return [
            line.problem(column, message)
            for column, messages in error.message_dict.items()
            for message in messages
        ]
    return []


def sheet(batch: EnrollmentBatch, by: str) -> list[SheetLine]:
    """Fresh codes, good for a working day, for the batch's terminals that are not paired yet.

    Codes of an older sheet stop working. Raises issuer.NoKeyset.
    """
    unpaired = Terminal.objects.filter(batch=batch, state__in=UNPAIRED)
    terminals = list(
        unpaired.select_related("store__merchant", "model").order_by(
            "store__merchant__number", "store__name", "number"
        )
    )
    with transaction.atomic():
        codes = pairing_codes.create_pairing_codes(terminals, by, SHEET_LIFETIME)
        record(Tag.SHEET_SHOWN, actor=by, subject=f"batch:{batch.pk}", terminals=len(codes))
    return [SheetLine(terminal, code) for terminal, code in zip(terminals, codes, strict=True)]
