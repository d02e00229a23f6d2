"""Pairing and changing keys (protocol §1)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from portal.network import address_block, client_address
from terminals import schemas
from terminals.api.doors import REFUSALS, caller, raw_body
from terminals.claims import parse_confirm
from terminals.life import enrollment, keyroll
from terminals.protocol import ENROLL_MAX, KEYROLL_MAX, strict_json

router = Router()


@router.post(
    "enroll",
    response={201: schemas.EnrollAnswer, **REFUSALS},
    openapi_extra=schemas.body("application/jose", schemas.COMPACT),
    summary="Pair with a code and register two keys",
)
def enroll(request: HttpRequest) -> Status[dict[str, Any]]:
    """A `rekey-enroll+jwt`, signed by the new key in its own header."""
    block = address_block(client_address(request))
    return Status(201, asdict(enrollment.enroll(raw_body(request, ENROLL_MAX), block)))


@router.post(
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


@router.post(
    "keys/roll",
    response={200: schemas.RollAnswer, **REFUSALS},
    openapi_extra=schemas.body("application/jose", schemas.COMPACT),
    summary="Change both keys: the old one vouches for the new one",
)
def roll(request: HttpRequest) -> dict[str, Any]:
    """A `rekey-keyroll+jwt`, signed by the old key. Safe to repeat when an answer was lost."""
    terminal = caller(request)
    return asdict(keyroll.roll(terminal, raw_body(request, KEYROLL_MAX)))
