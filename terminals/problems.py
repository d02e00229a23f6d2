"""How the terminal API refuses: always RFC 9457 problem+json, always with a trace."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import structlog
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from terminals.protocol import ProtocolError

log = structlog.get_logger(__name__)
View = Callable[..., HttpResponse]


def trace_of(request: HttpRequest) -> str:
    """One random mark per request, in the answer and in the log."""
    trace: str = getattr(request, "rekey_trace", "") or secrets.token_hex(8)
    request.rekey_trace = trace  # type: ignore[attr-defined]
    return trace


def refuse(request: HttpRequest, error: ProtocolError) -> HttpResponse:
    """A refusal as problem+json."""
    trace = trace_of(request)
    log.info("terminal_refused", error_code=error.code, detail=error.detail, trace=trace)
    response = HttpResponse(
        json.dumps(error.problem(trace)), status=error.status, content_type="application/problem+json"
    )
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def refuse_parameters(request: HttpRequest, error: Exception) -> HttpResponse:
    """A path or query that cannot be read."""
    return refuse(request, ProtocolError("malformed", "parameters"))


def refuse_broken(request: HttpRequest, error: Exception) -> HttpResponse:
    """Something of ours broke; the terminal is told to come back."""
    log.error("terminal_api_failed", trace=trace_of(request), exc_info=error)
    return refuse(request, ProtocolError("internal", retry_after=15))


def _traced(view: View) -> View:
    """The view with a trace on whatever it answers, and with our words where the framework has its own."""

    @wraps(view)
    def traced(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Http404:
            response = refuse(request, ProtocolError("not_found"))
        if response.status_code == 405:
            allowed = response.headers["Allow"]
            response = refuse(request, ProtocolError("method_not_allowed"))
            response.headers["Allow"] = allowed
        response.headers["Rekey-Trace"] = trace_of(request)
        return response

    return traced


def _nothing(request: HttpRequest) -> HttpResponse:
    raise Http404


class TerminalAPI(NinjaAPI):
    """A NinjaAPI whose every answer has a trace and whose every refusal is a problem, on any path."""

    @property
    def urls(self) -> tuple[list[Any], str, str]:
        """The patterns for `path()`, with a last one for what is not there."""
        patterns, app_name, namespace = super().urls
        traced = [
            URLPattern(known.pattern, _traced(known.callback), known.default_args, known.name)
            for known in cast("list[Any]", patterns)
        ]
        return [*traced, re_path("", _traced(csrf_exempt(_nothing)))], app_name, str(namespace)
