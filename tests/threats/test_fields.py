"""Fields nobody asked for, and fields sent twice: they change nothing, whatever page they go to (T35)."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.conf import LazySettings
from django.contrib.admin.helpers import ActionForm
from django.db import models, transaction
from django.forms import BaseForm, ModelForm
from django.http import QueryDict
from django.test import Client
from django.urls import get_resolver

from portal.entry import invitations
from portal.models import Merchant, User
from recovery.passwords import PasswordRules
from terminals.models import Terminal
from terminals.policy import Context, PasswordPolicy
from tests.cast import make_merchant, make_other_merchant, make_owner, make_terminal, signed_in
from tests.portal import test_entry_join as join
from tests.recovery.visitor import SHOP, Visitor, make_shop

OURS = ("portal", "recovery", "terminals")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


# ── twice ───────────────────────────────────────────────────────────────────────────────────────────────────


def below(kind: type[Any]) -> Iterator[type[Any]]:
    """The kinds of forms made from this one."""
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


def forms_of_pages() -> list[type[Any]]:
    """Every form of our own that is not for the desk alone."""
    assert get_resolver().url_patterns  # by now every page is loaded, and with it its forms
    return sorted((each for each in below(BaseForm) if is_of_a_page(each)), key=str)


def is_of_a_page(kind: type[Any]) -> bool:
    """Whether it is ours and no line of the admin."""
    parts = kind.__module__.split(".")
    # The admin itself sends the action of a list twice to its form.
    line_of_the_admin = issubclass(kind, ActionForm) or ("directory" in parts and issubclass(kind, ModelForm))
    return parts[0] in OURS and not {"admin", "policy_admin"} & set(parts) and not line_of_the_admin


def filled(kind: type[Any], data: QueryDict, merchant: Merchant) -> Any:
    """A form of this kind with what it needs to know besides."""
    known = {
        "mark": "",
        "rules": PasswordRules(PasswordPolicy("digits", 6, 6), Context()),
        "owners": [("1", "a")],
        "known_phone": "",
        "person": User(),
        "merchant": merchant,
    }
    makers = [inspect.signature(each).parameters for each in kind.__mro__ if "__init__" in vars(each)]
    needed = {name for parameters in makers for name in parameters} & known.keys()
    return kind(data=data, **{name: known[name] for name in needed})


@pytest.mark.django_db
def test_T35_every_form_refuses_each_of_its_fields_when_it_is_sent_twice() -> None:
    merchant, tried, taken = make_merchant(), 0, []
    for kind in forms_of_pages():
        for name in kind.base_fields:
            form = filled(kind, QueryDict(f"{name}=1&{name}=2"), merchant)
            tried += 1
            if not form.has_error("__all__", "repeated"):
                taken.append(f"{kind.__module__}.{kind.__name__}.{name}")
    assert tried > 40
    assert taken == []


# ── unasked ─────────────────────────────────────────────────────────────────────────────────────────────────


class Overloaded(Client):
    """A browser that sends, with every form, a value for every column there is."""

    more: dict[str, str]

    def post(self, path: str, data: Any = None, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """What the page asks for, and all the rest."""
        return super().post(path, {**self.more, **(data or {})}, *args, **kwargs)


def our_models() -> list[type[models.Model]]:
    return [each for label in OURS for each in apps.get_app_config(label).get_models()]


def every_column(theirs: Terminal) -> dict[str, str]:
    """A value for each: of another shop where it points somewhere, else the last choice, yes, or a number."""
    pointing = {Terminal: theirs.pk, Merchant: theirs.store.merchant.pk, type(theirs.store): theirs.store.pk}

    def value(field: Any) -> str:
        if field.related_model:
            return str(pointing.get(field.related_model, 1))
        if field.choices:
            return str(field.choices[-1][0])
        if isinstance(field, models.BooleanField):
            return "on"
        return "2031-01-01T00:00:00Z" if isinstance(field, models.DateTimeField) else "99"

    fields = [field for model in our_models() for field in model._meta.concrete_fields]
    return {name: value(field) for field in fields for name in (field.name, field.attname)}


def columns() -> dict[str, Counter[str]]:
    """Of each column of each table, which values stand there and how often."""
    return {
        f"{model._meta.label}.{field.attname}": Counter(
            map(repr, model._default_manager.values_list(field.attname, flat=True))
        )
        for model in our_models()
        for field in model._meta.concrete_fields
    }


def recovers(browser: Client) -> None:
    """The whole journey of somebody who forgot a password at the till."""
    assert Visitor(browser).dispatch().command is not None


def joins(browser: Client) -> None:
    """An invitation, up to the new account."""
    join.come_to_the_account(browser, invitations.invite(Merchant.objects.get(number=SHOP), "user:1"))
    assert join.choose(browser).status_code == 302


def renames(browser: Client) -> None:
    """An owner gives a terminal another name."""
    mine = Terminal.objects.get(store__merchant__number=SHOP)
    browser.cookies = signed_in(User.objects.get(username="owner")).cookies
    page = f"/terminals/{mine.pk}/edit"
    assert browser.post(page, {"name": "Back door", "store": mine.store.pk}).status_code == 302


def after(act: Callable[[Client], None], browser: Client) -> dict[str, Counter[str]]:
    """What stands in the tables afterwards; then it is undone."""
    before = transaction.savepoint()
    act(browser)
    found = columns()
    transaction.savepoint_rollback(before)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("act", [recovers, joins, renames])
def test_T35_a_value_for_every_column_there_is_changes_none(
    act: Callable[[Client], None], settings: LazySettings
) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
    with time_machine.travel(NOON, tick=False):
        till = make_shop()
        make_owner(till.terminal.store.merchant)
        theirs = make_terminal(make_other_merchant(), number="B0099999", serial="RK20269999")
        browser = Overloaded()
        browser.more = every_column(theirs)
        once, again, overloaded = after(act, Client()), after(act, Client()), after(act, browser)
    same = {column for column, values in once.items() if values == again[column]}
    assert len(same) > 200
    assert {column for column in same if overloaded[column] != once[column]} == set()
