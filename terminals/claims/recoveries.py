"""A recovery that somebody starts at the terminal (protocol §8)."""

from __future__ import annotations

from terminals.claims.reading import OPERATOR, Claims, text


def parse_recovery_start(body: Claims) -> str:
    """The operator number of `POST recoveries`."""
    return text(body, "op", pattern=OPERATOR)
