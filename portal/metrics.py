"""What this process has counted, as Prometheus reads it; for whoever may know, and nobody else."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    ProcessCollector,
    generate_latest,
)

from portal.network import direct_peer

registry = CollectorRegistry()
ProcessCollector(registry=registry)
GCCollector(registry=registry)


def may_read(address: str) -> bool:
    """Whether an address lies in one of the networks of REKEY_METRICS_FROM."""
    try:
        asking = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(asking in network for network in settings.REKEY_METRICS_FROM)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers of the process that answers, which counts for itself; to others there is no such page."""
    if not may_read(direct_peer(request)):
        raise Http404
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
