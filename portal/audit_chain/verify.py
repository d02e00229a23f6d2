"""The check of the chain: reads events, links and heads, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from portal.audit_chain import heads
from portal.audit_chain.links import FIELDS, FIRST, Told, digest_of
from portal.models import AuditEvent, AuditHead, AuditLink

CHUNK = 500


def problems(kept: Sequence[Mapping[str, Any]] = (), trusted: str | None = None) -> Iterator[str]:
    """Everything that is wrong, one sentence each; nothing for a whole trail.

    `kept` are heads kept outside the database, `trusted` is the public key that must have signed all heads.
    """
    signed = [*AuditHead.objects.order_by("seq").values(*heads.MEMBERS), *kept]
    stated: dict[int, str] = dict.fromkeys((head["seq"] for head in signed), "")
    yield from _along_links(stated)
    for head in signed:
        seq = head["seq"]
        if not heads.is_genuine(head, trusted):
            yield f"the head of link {seq} is not signed by its key, or not by the trusted one"
        if not stated[seq]:
            yield f"link {seq}, signed at {head['signed_at']}, is gone"
        elif stated[seq] != head["digest"]:
            yield f"link {seq} is not the one that was signed at {head['signed_at']}"


def _along_links(stated: dict[int, str]) -> Iterator[str]:
    """What is wrong from the first link to the last; fills in the digests of the numbers asked for."""
    seq, digest = 0, FIRST
    while links := list(AuditLink.objects.filter(seq__gt=seq).order_by("seq")[:CHUNK]):
        rows = AuditEvent.objects.filter(pk__in=[link.event_id for link in links]).values_list(*FIELDS)
        events = {row[0]: Told(*row) for row in rows}
        for link in links:
            if link.seq != seq + 1:
                yield f"links {seq + 1} to {link.seq - 1} are gone"
            event = events.get(link.event_id)
            if event is None:
                yield f"event {link.event_id} of link {link.seq} is gone"
            elif digest_of(digest, link.seq, event) != link.digest:
                yield f"event {link.event_id} of link {link.seq}, or a link before it, was changed"
            seq, digest = link.seq, link.digest
            if seq in stated:
                stated[seq] = digest
