"""The terminal API beside the poll: enrollment, receipts, inventory, keysets, recoveries (§1, §5–§8)."""

from __future__ import annotations

from ninja.errors import ValidationError

from terminals.api import enrollment, inventory, keysets, receipts, recoveries
from terminals.problems import TerminalAPI, refuse, refuse_broken, refuse_parameters
from terminals.protocol import ProtocolError

api = TerminalAPI(
    title="Rekey terminal protocol",
    version="1",
    description="What a terminal speaks; `GET commands` is served beside it. See docs/terminal-protocol.md.",
    urls_namespace="terminal-v1",
    docs_url=None,
)

api.exception_handler(ProtocolError)(refuse)
api.exception_handler(ValidationError)(refuse_parameters)
api.exception_handler(Exception)(refuse_broken)

for room in (enrollment, receipts, inventory, keysets, recoveries):
    api.add_router("", room.router)
