"""The terminal API beside the poll: enrollment, receipts, inventory, keysets, recoveries (§1, §5–§8)."""

from __future__ import annotations

from ninja.errors import ValidationError

from terminals.api import enrollment, inventory, keysets, receipts, recoveries
from terminals.api.document import DocumentedAPI
from terminals.problems import refuse, refuse_broken, refuse_parameters
from terminals.protocol import ProtocolError

api = DocumentedAPI(
    title="Rekey terminal protocol",
    version="1",
    description="What a terminal speaks. How, and in which order, says docs/terminal-protocol.md.",
    urls_namespace="terminal-v1",
    docs_url=None,
)

api.exception_handler(ProtocolError)(refuse)
api.exception_handler(ValidationError)(refuse_parameters)
api.exception_handler(Exception)(refuse_broken)

for room in (enrollment, receipts, inventory, keysets, recoveries):
    api.add_router("", room.router)
