"""Every address of the site, from the URLconf itself, and what it answers to somebody without any cookie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern

# One value of each kind that stands for nothing there is.
SAMPLES = {
    "TerminalId": "trm_AAAAAAAAAAAAAAAA",
    "OperatorNumber": "03",
    "UserCode": "BCDF-GHJK",
    "TicketNumber": "R7F3-K228",
    "MerchantNumber": "898440158129999",
    "IntConverter": "987654",
    "SlugConverter": "nothing",
    "PathConverter": "nothing",
    "StringConverter": "nothing",
}
# To another page, a bearer that is missing, a wrong method, a recovery that this browser does not have.
AWAY = {302, 401, 405, 410}


@dataclass(frozen=True, slots=True)
class Route:
    """An address: the name it goes by, its path with values that stand for nothing, their kinds by name."""

    name: str
    path: str
    kinds: dict[str, str]


def routes(resolver: URLResolver | None = None, before: str = "", space: str = "") -> Iterator[Route]:
    """All of them; in the admin those that are no patterns of its own."""
    for each in (resolver or get_resolver()).url_patterns:
        if not isinstance(each.pattern, RoutePattern):
            continue
        text, kinds = before + str(each.pattern), kinds_of(each)
        for name, kind in kinds.items():
            text = filled(text, name, SAMPLES[kind])
        if isinstance(each, URLResolver):
            yield from routes(each, text, f"{each.namespace or space.rstrip(':')}:".removeprefix(":"))
        else:
            yield Route(space + (each.name or text), f"/{text}", kinds)


def kinds_of(each: URLPattern | URLResolver) -> dict[str, str]:
    """Name of each value in the address → its kind."""
    return {name: type(kind).__name__ for name, kind in each.pattern.converters.items()}


def filled(text: str, name: str, value: str) -> str:
    """The address with one of its values."""
    start, end = text.index("<"), text.index(">")
    assert text[start:end].endswith(name)
    return text[:start] + value + text[end + 1 :]


def is_public(route: Route) -> bool:
    """Whether somebody without any cookie is answered there, and not sent elsewhere or away."""
    answers = [getattr(Client(), method)(route.path) for method in ("get", "post", "put")]
    return not {answer.status_code for answer in answers} <= AWAY
