"""Issuer keys, for everybody to fetch (protocol §7)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router

from terminals import schemas
from terminals.keys import issuer
from terminals.protocol import ProtocolError

router = Router()


@router.get(
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
