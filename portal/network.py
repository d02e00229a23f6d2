"""Where a request really comes from: the only code that reads forwarding headers."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "unknown"


def client_address(request: HttpRequest) -> str:
    """The peer's IP address as text, or "unknown" when it cannot be told.

    With REKEY_TRUSTED_PROXIES = n, each of our n proxies appended the address it saw to X-Forwarded-For, so
    the true peer is the n-th entry from the right; whatever stands left of it was written by the caller.
    """
    return address_of(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def address_of(peer: str, forwarded: str) -> str:
    """The same from the other end of the connection and X-Forwarded-For, for what is no Django request."""
    proxies = settings.REKEY_TRUSTED_PROXIES
    if proxies == 0:
        return _parse(peer)
    hops = [hop.strip() for hop in forwarded.split(",")]
    return _parse(hops[-proxies]) if len(hops) >= proxies else UNKNOWN


def direct_peer(request: HttpRequest) -> str:
    """The address at the other end of the connection; "unknown" for whatever came through a proxy."""
    if "HTTP_X_FORWARDED_FOR" in request.META:
        return UNKNOWN
    return _parse(request.META.get("REMOTE_ADDR", ""))


@lru_cache(maxsize=4096)
def _parse(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return address.compressed.partition("%")[0]


def address_block(address: str) -> str:
    """The block that shares one limit: /24 for IPv4, /64 for IPv6, one bucket for everything unknown."""
    if address == UNKNOWN:
        return UNKNOWN
    bits = 64 if ":" in address else 24
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))
