"""Rules for a terminal under test, in the order in which they are tried."""

from terminals.conformance.terminal_rules import (
    asking,
    commands,
    keysets,
    machine,
    order,
    pairing,
    receipts,
    refusals,
)
from terminals.conformance.terminal_rules.bench import Subject, TerminalBench

ROOMS = (pairing, commands, refusals, order, asking, keysets, receipts, machine)
_ALL = [rule for room in ROOMS for rule in room.BOOK.rules]
# What begins a terminal anew comes last: the rules before it look at one life.
_LAST = {"pair-wrong-root", "pair-wrong-issuer", "pair-broken-challenge", "pair-again"}
RULES = [rule for rule in _ALL if rule.id not in _LAST] + [rule for rule in _ALL if rule.id in _LAST]

__all__ = ["ROOMS", "RULES", "Subject", "TerminalBench"]
