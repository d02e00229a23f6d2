"""A gateway is silent, refuses, dawdles or lies: the page says no more than is known, and always leads on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests import stack
from tests.journeys.conftest import LIMITS, STATIC, serve_static_files
from tests.journeys.providers import TIMEOUT_S, Aliyun, Provider, Twilio
from tests.journeys.walker import Walker, World
from tests.messaging.aliyun_standin import AliyunStandIn
from tests.messaging.standin import Problem
from tests.messaging.twilio_standin import TwilioStandIn

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
WAYS: dict[str, tuple[Any, Callable[[Any], Provider], str, tuple[int, int]]] = {
    "twilio": (TwilioStandIn, Twilio, "en", (1280, 800)),
    "aliyun": (AliyunStandIn, Aliyun, "zh", (390, 844)),
}


@pytest.fixture(params=list(WAYS))
def met(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[tuple[Walker, Provider]]:
    """Somebody at an installation whose texts go through this provider; it can make calls in any case."""
    standin_of, provider_of, language, size = WAYS[request.param]
    var = tmp_path_factory.mktemp(request.param)
    with standin_of() as standin:
        provider = provider_of(standin)
        told = provider.settings() | {"REKEY_LIMITS": LIMITS, "REKEY_STATICFILES": STATIC}
        with stack.running(var, **told) as running:
            running.manage("loaddemo")
            serve_static_files(running)
            world = World(running, json.loads((var / "demo.json").read_text("utf-8")))
            walker = Walker(world, browser, language, size)
            yield walker, provider
            walker.context.close()
            assert not walker.troubles, walker.troubles


def ask(walker: Walker) -> None:
    """As somebody new."""
    walker.context.clear_cookies()
    walker.identify()


def leads_on(walker: Walker) -> None:
    """Another way, support, and another number, whatever became of this one."""
    main = walker.page.locator("main")
    assert main.locator('form[action="/code/call"] button').is_visible()
    assert main.locator('a[href="/support"]').is_visible() and main.locator('a[href="/"]').is_visible()


def is_let_in(walker: Walker, provider: Provider) -> None:
    """The code that the provider was given is taken, whatever was said about it."""
    walker.send("code", code=provider.code())
    walker.at("/terminal")


def half_a_minute(walker: Walker) -> None:
    walker.world.stack.run("-m", "tests.journeys.backstage", "wait")


def test_the_page_tells_the_truth_and_leads_on(met: tuple[Walker, Provider]) -> None:
    for scene in (accepts_and_never_answers, refuses, takes_it_and_says_so_too_late, lies):
        scene(*met)


def accepts_and_never_answers(walker: Walker, provider: Provider) -> None:
    """Taken is not delivered; after a while there is another way."""
    ask(walker)
    walker.wait_for("sent")
    half_a_minute(walker)
    walker.wait_for("sent call")
    walker.look("code-never-answered")
    leads_on(walker)
    is_let_in(walker, provider)


def refuses(walker: Walker, provider: Provider) -> None:
    """That it cannot arrive is said at once, with why; a call is offered when it may be made."""
    provider.refuse_number()
    ask(walker)
    walker.wait_for("undelivered")
    half_a_minute(walker)
    walker.wait_for("undelivered call")
    walker.look("code-refused")
    leads_on(walker)


def takes_it_and_says_so_too_late(walker: Walker, provider: Provider) -> None:
    """Nobody knows whether it went out: the page claims neither, and the code is taken when it comes."""
    # It is tried once more, and is no better then.
    provider.standin.problems.extend([Problem(wait_s=TIMEOUT_S + 1, accept=True, cut=True)] * 2)
    taken = len(provider.standin.accepted)
    ask(walker)
    walker.wait_for("going")
    while len(provider.standin.accepted) == taken:
        walker.page.wait_for_timeout(100)
    half_a_minute(walker)
    walker.wait_for("going call")
    walker.look("code-too-late")
    leads_on(walker)
    is_let_in(walker, provider)
    provider.standin.problems.clear()


def lies(walker: Walker, provider: Provider) -> None:
    """What others say in its name changes nothing; what it says itself is told as its word, not as a fact."""
    ask(walker)
    walker.wait_for("sent")
    origin = walker.world.stack.origin
    assert provider.report_delivered(origin, forged=True) == 403
    walker.page.wait_for_timeout(2500)
    walker.wait_for("sent")
    assert provider.report_delivered(origin, forged=False) in (200, 204)
    walker.wait_for("delivered")
    half_a_minute(walker)
    half_a_minute(walker)
    walker.wait_for("delivered call")
    walker.look("code-not-there-after-all")
    leads_on(walker)
