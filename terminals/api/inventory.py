"""What a terminal tells of itself (protocol §6)."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Status

from terminals import inventory, schemas
from terminals.api.doors import REFUSALS, caller, raw_body
from terminals.claims import parse_inventory
from terminals.protocol import strict_json

router = Router()


@router.put(
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
