"""Rules for a server under test, in the order in which they are tried."""

from terminals.conformance.server_rules import (
    ground,
    inventory,
    keys,
    pairing,
    poll,
    receipts,
    recoveries,
    who,
)
from terminals.conformance.server_rules.bench import ServerBench

ROOMS = (pairing, who, poll, inventory, receipts, recoveries, keys, ground)
RULES = [rule for room in ROOMS for rule in room.BOOK.rules]

__all__ = ["RULES", "ServerBench"]
