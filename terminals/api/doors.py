"""What the doors of the terminal API share: the body, the caller, and how a refusal looks."""

from __future__ import annotations

import re

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from terminals import authentication, schemas
from terminals.models import Terminal
from terminals.protocol import BODY_MAX, ProtocolError

LENGTH = re.compile(r"[0-9]{1,9}")
REFUSALS = dict.fromkeys((400, 401, 403, 404, 405, 409, 413, 429, 500, 503), schemas.Problem)


def raw_body(request: HttpRequest, limit: int = BODY_MAX) -> bytes:
    """The body's bytes. Raises ProtocolError `too_large`, or `malformed` for a compressed one."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ProtocolError("malformed", "content encoding")
    length = request.headers.get("Content-Length") or "0"
    if LENGTH.fullmatch(length) is None or int(length) > limit:
        raise ProtocolError("too_large")
    try:
        body = request.body
    except RequestDataTooBig:  # a chunked body tells its length only by arriving
        raise ProtocolError("too_large") from None
    if len(body) > limit:
        raise ProtocolError("too_large")
    return body


def caller(request: HttpRequest, *, confirmed: bool = True) -> Terminal:
    """The terminal whose bearer this is. Raises ProtocolError."""
    bearer = authentication.verify(request.headers.get("Authorization", ""))
    if confirmed:
        authentication.admit(bearer)
    return Terminal.objects.select_related("store__merchant").get(pk=bearer.terminal_id)
