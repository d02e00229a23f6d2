"""Signed receipts (protocol §5)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest
from ninja import Router

from terminals import receipts, schemas
from terminals.api.doors import REFUSALS, caller, raw_body
from terminals.claims import parse_receipt_batch
from terminals.protocol import strict_json

router = Router()


@router.post(
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
