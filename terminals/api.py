"""The terminal API beside the poll: enroll, confirm, receipts, inventory, keysets (protocol §1, §5–§7)."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from ninja import Status
from ninja.errors import ValidationError

from portal.network import address_block, client_address
from terminals import authentication, enrollment, inventory, issuer, receipts, schemas
from terminals.claims import parse_confirm, parse_inventory, parse_receipt_batch
from terminals.models import Terminal
from terminals.problems import TerminalAPI, refuse, refuse_broken, refuse_parameters
from terminals.protocol import BODY_MAX, ENROLL_MAX, ProtocolError, strict_json

api = TerminalAPI(
    title="Rekey terminal protocol",
    version="1",
    description="What a terminal speaks; `GET commands` is served beside it. See docs/terminal-protocol.md.",
    urls_namespace="terminal-v1",
    docs_url=None,
)
LENGTH = re.compile(r"[0-9]{1,9}")
REFUSALS = dict.fromkeys((400, 401, 403, 404, 405, 409, 413, 429, 500, 503), schemas.Problem)


api.exception_handler(ProtocolError)(refuse)
api.exception_handler(ValidationError)(refuse_parameters)
api.exception_handler(Exception)(refuse_broken)


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


@api.post(
    "enroll",
    response={201: schemas.EnrollAnswer, **REFUSALS},
    openapi_extra=schemas.body("application/jose", schemas.COMPACT),
    summary="Pair with a code and register two keys",
)
def enroll(request: HttpRequest) -> Status[dict[str, Any]]:
    """A `rekey-enroll+jwt`, signed by the new key in its own header."""
    block = address_block(client_address(request))
    return Status(201, asdict(enrollment.enroll(raw_body(request, ENROLL_MAX), block)))


@api.post(
    "enroll/confirm",
    response={200: schemas.StateAnswer, **REFUSALS},
    openapi_extra=schemas.body("application/json", schemas.NONCE),
    summary="Return the nonce: proves the second key",
)
def confirm(request: HttpRequest) -> dict[str, str]:
    """Safe to repeat when an answer was lost."""
    terminal = caller(request, confirmed=False)
    enrollment.confirm(terminal.pk, parse_confirm(strict_json(raw_body(request))))
    return {"state": "active"}


@api.post(
    "receipts",
    response={200: schemas.ReceiptsAnswer, **REFUSALS},
    openapi_extra=schemas.body("application/json", schemas.RECEIPTS),
    summary="Report what became of tokens",
)
def post_receipts(request: HttpRequest) -> dict[str, Any]:
    """Up to eight signed receipts; each is judged on its own."""
    terminal = caller(request)
    batch = parse_receipt_batch(strict_json(raw_body(request)))
    return {"results": [asdict(result) for result in receipts.accept(terminal, batch)]}


@api.put(
    "inventory",
    response={204: None, **REFUSALS},
    openapi_extra=schemas.body("application/json", schemas.INVENTORY),
    summary="Operators and condition of the machine",
)
def put_inventory(request: HttpRequest) -> Status[None]:
    """Daily, and whenever something changed."""
    terminal = caller(request)
    inventory.store(terminal, parse_inventory(strict_json(raw_body(request))))
    return Status(204, None)


@api.get(
    "keysets/{int:version}",
    response={200: str, 404: schemas.Problem},
    summary="One keyset, signed by the root, for ever the same",
)
def get_keyset(request: HttpRequest, version: int) -> HttpResponse:
    """The compact `rekey-keyset+jwt`; it may be cached."""
    try:
        token = issuer.keyset(version).token
    except issuer.NoKeyset:
        raise ProtocolError("not_found") from None
    response = HttpResponse(token, content_type="application/jose")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
