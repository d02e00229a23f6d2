"""Recoveries started at a terminal (protocol §8)."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Status

from terminals import requests, schemas
from terminals.api.doors import REFUSALS, caller, raw_body
from terminals.claims import parse_recovery_start
from terminals.models import RecoveryRequest
from terminals.protocol import RECOVERY_INTERVAL, RECOVERY_LIFETIME, ProtocolError, is_id, strict_json

router = Router()


@router.post(
    "recoveries",
    response={201: schemas.RecoveryAnswer, **REFUSALS},
    openapi_extra=schemas.body("application/json", schemas.RECOVERY),
    summary="Somebody at the terminal forgot a password",
)
def start(request: HttpRequest) -> Status[dict[str, str | int]]:
    """What to show: a QR, the code for those who cannot scan, and the match number."""
    terminal = caller(request)
    operator_number = parse_recovery_start(strict_json(raw_body(request)))
    shown = requests.open_request(terminal, operator_number)
    answer: dict[str, str | int] = {
        "rid": shown.rid,
        "user_code": shown.user_code,
        "verification_uri": shown.page,
        "verification_uri_complete": shown.qr_page,
        "expires_in": RECOVERY_LIFETIME,
        "interval": RECOVERY_INTERVAL,
        "match": shown.match,
    }
    return Status(201, answer)


@router.get(
    "recoveries/{rid}",
    response={200: schemas.RecoveryState, **REFUSALS},
    summary="What has become of it, for the screen",
)
def state(request: HttpRequest, rid: str) -> dict[str, str]:
    """`pending`, `denied`, `expired`, or `done`: then the command is on its way. Others' are not found."""
    terminal = caller(request)
    known = is_id(rid, "rec")
    mine = RecoveryRequest.objects.filter(terminal=terminal, pk=rid).first() if known else None
    if mine is None:
        raise ProtocolError("not_found")
    return {"state": requests.wire_state(mine, timezone.now())}
