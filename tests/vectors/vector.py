"""What a test vector is, and how it is written down and read back."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "vectors"
# A run of one to eight characters that is worth writing as a number of times.
_RUN: Final = re.compile(r"(.{1,8}?)\1{60,}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Vector:
    """One case: what is given in which state, and the one right answer."""

    kind: str
    section: str
    what: str
    steps: tuple[Mapping[str, Any], ...]
    groups: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """A vector as it stands in a file; `state` has what the file says for all of its vectors."""

    id: str
    kind: str
    steps: tuple[dict[str, Any], ...]
    state: dict[str, Any]
    groups: tuple[str, ...]
    rows: tuple[int, ...]


def packed(text: str) -> str | dict[str, Any]:
    """A text as it is, or with its long runs counted: `{"join": ["ab", ["x", 1000], "c"]}`."""
    pieces: list[Any] = []
    end = 0
    for run in _RUN.finditer(text):
        if len(run[0]) < 400:
            continue
        pieces += [text[end : run.start()], [run[1], len(run[0]) // len(run[1])]]
        end = run.end()
    return {"join": [piece for piece in (*pieces, text[end:]) if piece]} if pieces else text


def unpacked(value: Any) -> Any:
    """The text that `packed` was given; anything else as it is."""
    if isinstance(value, dict) and set(value) == {"join"}:
        return "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in value["join"])
    return [unpacked(item) for item in value] if isinstance(value, list) else value


def written(about: str, state: Mapping[str, Any], vectors: Iterable[Vector]) -> str:
    """One file of vectors as text."""
    taken: Counter[str] = Counter()
    rows = [_plain(_named(vector, taken), vector) for vector in vectors]
    whole = {"about": about, "state": dict(state)}
    head = json.dumps(whole, indent=1, ensure_ascii=False)[:-2]
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    return f'{head},\n "vectors": [\n{lines}\n ]\n}}\n'


def _named(vector: Vector, taken: Counter[str]) -> str:
    """An id that stays when other vectors come or go."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{' '.join(vector.groups)} {vector.what}".lower()).strip("-")
    name = f"{vector.kind}/{words[:56] or 'x'}"
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}-{taken[name]}"


def _plain(name: str, vector: Vector) -> dict[str, Any]:
    steps = [_packed_step(step) for step in vector.steps]
    row: dict[str, Any] = {
        "id": name,
        "section": vector.section,
        "what": vector.what,
        "kind": vector.kind,
        "rows": list(vector.rows),
        "groups": list(vector.groups),
        "state": dict(vector.state),
    }
    row |= steps[0] if len(steps) == 1 else {"steps": steps}
    return {name: value for name, value in row.items() if value not in ([], {})}


def _packed_step(step: Mapping[str, Any]) -> dict[str, Any]:
    given = step["input"]
    if isinstance(given, str):
        given = packed(given)
    elif isinstance(given, list):
        given = [packed(item) if isinstance(item, str) else item for item in given]
    return {**step, "input": given}


def read(kind: str) -> Iterator[Read]:
    """The vectors of one kind, from its file in docs/vectors."""
    whole = json.loads((FOLDER / f"{kind}.json").read_text("utf-8"))
    for row in whole["vectors"]:
        steps = row.get("steps") or [{"input": row.get("input", ""), "expect": row["expect"]}]
        yield Read(
            id=row["id"],
            kind=row["kind"],
            steps=tuple({**step, "input": unpacked(step["input"])} for step in steps),
            state={**whole["state"], **row.get("state", {})},
            groups=tuple(row.get("groups", ())),
            rows=tuple(row.get("rows", ())),
        )


def step(given: Any, expect: Any, **state: Any) -> dict[str, Any]:
    """One input and its answer, after these changes of the state."""
    return {"input": given, **({"state": state} if state else {}), "expect": expect}
