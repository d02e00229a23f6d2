"""`python -m tests.roles`: writes docs/roles.md, what each role may do, as the site itself answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()

from django.contrib import admin
from django.contrib.auth.models import Permission
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import override_settings, setup_databases, setup_test_environment
from django.utils.translation import override

from portal.models import User
from portal.roles import Role
from tests.cast import make_member, signed_in
from tests.threats.routes import routes

if TYPE_CHECKING:
    from django.db.models import Model

PAGE = Path(__file__).resolve().parents[1] / "docs/roles.md"
STOCK = ("view", "add", "change", "delete")
# What the admin brings along, which asks for the rights above.
STOCK_PAGES = {
    *("index", "login", "login_code", "resend_code", "logout", "password_change", "password_change_done"),
    *("jsi18n", "autocomplete", "view_on_site", "app_list"),
}
HEAD = """# Roles

What each role may do at the support desk. Written by `python -m tests.roles` from what the site answers to
one person of each role; `tests/house/test_roles.py` compares. The rights themselves stand in
`portal/rights.py`, `terminals/rights.py` and `recovery/rights.py`; each migration makes the groups hold
them, no more and no less. Whoever changes a table has this page reviewed.

Somebody may have several roles. None of them lets one person alone reset 00 or 99, read a password or a code,
give rights, or touch the account of a colleague. Superusers do the latter two, and their signing in opens a
case.

"""


def matrix() -> str:
    """The whole page. Needs a database in which nothing is left of it afterwards."""
    with override("en"), override_settings(REKEY_LIMITS={"test-messages-per-staff": "1000/hour"}):
        people = {role: make_member(f"role-{role.value.replace(' ', '-')}", role) for role in Role}
        return f"{HEAD}{_models(people)}\n{_pages(people)}"


def _table(first: str, rows: Iterator[tuple[str, list[str]]]) -> str:
    names = [str(role.label) for role in Role]
    lines = [[first, *names], ["---"] * (len(names) + 1)]
    lines += [[name, *cells] for name, cells in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────


def _models(people: dict[Role, User]) -> str:
    return "## Rows\n\n" + _table("of", _model_rows(people))


def _model_rows(people: dict[Role, User]) -> Iterator[tuple[str, list[str]]]:
    for model, desk in sorted(admin.site._registry.items(), key=lambda pair: pair[0]._meta.label_lower):
        yield (
            f"{model._meta.app_label} `{model.__name__}`",
            [_cell(model, desk, person) for person in people.values()],
        )


def _cell(model: type[Model], desk: Any, person: User) -> str:
    request = request_of(person)
    may = [verb for verb in STOCK if getattr(desk, f"has_{verb}_permission")(request)]
    may += [f"*{name}*" for name in desk.get_actions(request) if name != "delete_selected"]
    own = [code for code, _words in model._meta.permissions]
    held = Permission.objects.filter(group__user=person, codename__in=own).order_by("codename")
    may += [f"`{right.codename}`" for right in held]
    return ", ".join(may) or "–"


def request_of(person: User) -> HttpRequest:
    """What the admin is asked by this person."""
    request = RequestFactory().get("/admin/")
    request.user = person
    return request


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────


def _pages(people: dict[Role, User]) -> str:
    said = "Pages of our own: *looks* may open it, *acts* may press its keys as well.\n\n"
    browsers = {role: signed_in(person) for role, person in people.items()}
    return "## Pages\n\n" + said + _table("page", _page_rows(browsers))


def own_pages() -> dict[str, str]:
    """Name and path of every page that we have put into the admin."""
    suffixes = ("_changelist", "_add", "_history", "_delete", "_change", "_password_change")
    return {
        route.name.removeprefix("admin:"): route.path
        for route in routes()
        if route.path.startswith("/admin/")
        and route.name.removeprefix("admin:") not in STOCK_PAGES
        and not route.name.endswith(suffixes)
        and not route.name.startswith("admin:admin/")
    }


def _page_rows(browsers: dict[Role, Client]) -> Iterator[tuple[str, list[str]]]:
    for name, path in sorted(own_pages().items()):
        yield f"`{name}`", [_may(browser, path) for browser in browsers.values()]


def _may(browser: Client, path: str) -> str:
    if _is_open(browser.post(path)):
        return "acts"
    return "looks" if _is_open(browser.get(path)) else "–"


def _is_open(answer: Any) -> bool:
    away = answer.headers.get("Location", "").startswith("/admin/login")
    return not away and answer.status_code not in {403, 405}


def main() -> None:
    """Write the page."""
    logging.disable(logging.CRITICAL)
    setup_test_environment()
    setup_databases(verbosity=0, interactive=False)
    PAGE.write_text(matrix(), "utf-8")


if __name__ == "__main__":
    main()
