"""The OpenAPI document: what the doors say of themselves, and what is served beside them."""

from __future__ import annotations

from typing import Any, Final

from ninja.openapi.schema import OpenAPISchema

from terminals.problems import TerminalAPI
from terminals.protocol import PATH, TELEMETRY_MAX, TOKENS_PER_POLL, WAIT_MAX
from terminals.schemas import COMPACT

_REF: Final = {"$ref": "#/components/schemas/Problem"}
_PROBLEM: Final = {"application/problem+json": {"schema": _REF}}
_OPEN: Final = (f"{PATH}/enroll", f"{PATH}/keysets/{{version}}")
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "rekey-auth+jwt",
    "description": "Signed by the terminal itself: protocol document, “Who is asking”.",
}
_POLL: Final = {
    "Rekey-Poll": {"schema": {"type": "string"}, "description": "RFC 9651 dictionary: interval, jitter, wait"}
}
_ETAG: Final = {"ETag": {"schema": {"type": "string"}, "description": "Names what the terminal now holds"}}
_TOKENS: Final = {
    "type": "object",
    "required": ["tokens", "more"],
    "properties": {
        "tokens": {"type": "array", "minItems": 1, "maxItems": TOKENS_PER_POLL, "items": COMPACT},
        "more": {"type": "boolean"},
    },
}


def _parameter(where: str, name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"in": where, "name": name, "required": False, "schema": schema, "description": description}


def _refused(*statuses: int) -> dict[str, Any]:
    """Refusals by these statuses."""
    return {str(status): {"description": "Refused", "content": _PROBLEM} for status in statuses}


def poll_operation() -> dict[str, Any]:
    """`GET commands`, which is served outside Django."""
    most = {"type": "integer", "minimum": 0, "maximum": 9999}
    return {
        "operationId": "terminals_poll",
        "summary": "Ask for work; the answer may be held",
        "description": "Tokens in the order in which they must be carried out.",
        "parameters": [
            _parameter("query", "wait", most, f"Seconds to hold the answer; above {WAIT_MAX} is {WAIT_MAX}"),
            _parameter("query", "max", most, f"Tokens wanted; above {TOKENS_PER_POLL} is {TOKENS_PER_POLL}"),
            _parameter("header", "If-None-Match", {"type": "string"}, "The ETag of what the terminal holds"),
            _parameter(
                "header",
                "Rekey-Telemetry",
                {"type": "string", "maxLength": TELEMETRY_MAX},
                "RFC 9651 dictionary",
            ),
        ],
        "responses": {
            "200": {
                "description": "Up to four tokens",
                "headers": {**_POLL, **_ETAG},
                "content": {"application/json": {"schema": _TOKENS}},
            },
            "204": {"description": "Nothing waits", "headers": _POLL},
            "304": {"description": "Nothing but what that ETag named", "headers": {**_POLL, **_ETAG}},
            **_refused(400, 401, 403, 405, 429, 500, 503),
        },
        "security": [{"bearer": []}],
    }


class DocumentedAPI(TerminalAPI):
    """A TerminalAPI whose document says all that is served under its prefix."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The doors of Ninja, the poll, who needs a bearer, and how refusals look."""
        document = super().get_openapi_schema(**options)
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _complete(path, operation)
        document["paths"][f"{PATH}/commands"] = {"get": poll_operation()}
        document["components"]["securitySchemes"] = {"bearer": _BEARER}
        return document


def _complete(path: str, operation: dict[str, Any]) -> None:
    if path not in _OPEN:
        operation["security"] = [{"bearer": []}]
    for status, response in operation["responses"].items():
        response.setdefault("headers", {})["Rekey-Trace"] = {"schema": {"type": "string"}}
        if int(status) >= 400:
            response["content"] = _PROBLEM
    if path.startswith(f"{PATH}/keysets/"):
        operation["responses"][200]["content"] = {"application/jose": {"schema": COMPACT}}
