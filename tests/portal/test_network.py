"""Where a request comes from, whatever it says about itself."""

from __future__ import annotations

import pytest
from django.test import RequestFactory, override_settings

from portal.network import UNKNOWN, address_block, client_address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, None, "203.0.113.9"),
        (0, "198.51.100.1", "203.0.113.9"),  # nobody in front of us: what the header says is a claim
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the left part was written by the caller
        (2, "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        (2, "198.51.100.1", UNKNOWN),  # came round a proxy
        (1, None, UNKNOWN),
        (1, "", UNKNOWN),
        (1, "not an address", UNKNOWN),
        (1, "198.51.100.1:443", UNKNOWN),
        (1, "::ffff:198.51.100.1", "198.51.100.1"),
        (1, "2001:DB8:0:0::1", "2001:db8::1"),
        (1, "fe80::1%eth0", "fe80::1"),
    ],
)
def test_the_address_is_the_one_our_outermost_proxy_saw(
    proxies: int, forwarded: str | None, seen: str
) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="203.0.113.9")
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    with override_settings(REKEY_TRUSTED_PROXIES=proxies):
        assert client_address(request) == seen


def test_without_a_peer_the_address_is_unknown() -> None:
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="")) == UNKNOWN


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("198.51.100.77", "198.51.100.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (UNKNOWN, UNKNOWN),
    ],
)
def test_neighbours_share_one_block(address: str, block: str) -> None:
    assert address_block(address) == block
