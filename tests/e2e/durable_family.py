"""What is true of a few streams that one client makes, forks, appends to, closes and deletes.

A model of the protocol's promises: a step takes one state of the family to the next, whole. Of a
step that was not answered either state may hold after a restart, and nothing in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias


@dataclass(frozen=True)
class Known:
    """One stream; deleted ones are here as long as forks keep them."""

    making: int
    """Which making of its name: those of a family are numbered."""
    items: tuple[str, ...] = ()
    closed: bool = False
    deleted: bool = False
    source: str = ""
    producer: tuple[int, int] | None = None
    """Epoch and number of the last batch."""
    closed_by_batch: bool = False
    """That last batch closed it."""
    writer_seq: int = 0
    """The last ``Stream-Seq``; 0: none."""


State: TypeAlias = Mapping[str, Known]
Places: TypeAlias = dict[int, dict[int, str]]
"""For each making, offsets that were given out, by the number of items before them."""


@dataclass(frozen=True)
class Step:
    """A request, the status that it has to be answered with, and what it makes of the family."""

    method: str
    name: str
    status: int
    after: State
    body: bytes = b""
    fields: dict[str, str] = field(default_factory=dict)
    touched: frozenset[str] = frozenset()
    """Names of which something is different afterwards."""
    is_batch: bool = False
    """A producer's: sent again when it was not answered."""


def with_stream(state: State, name: str, known: Known) -> State:
    return {**state, name: known}


def without(state: State, name: str) -> State:
    """After a DELETE: kept out of sight for its forks, or gone, with those kept for it alone."""
    if any(known.source == name for known in state.values()):
        return with_stream(state, name, replace(state[name], deleted=True))
    rest = {other: known for other, known in state.items() if other != name}
    source = state[name].source
    if source and rest[source].deleted:
        return without(rest, source)
    return rest


def changed(before: State, after: State) -> frozenset[str]:
    return frozenset(n for n in {*before, *after} if before.get(n) != after.get(n))


def expected(known: Known | None) -> tuple[int, list[str], bool]:
    """The status of its HEAD, its items, and whether it is closed."""
    if known is None:
        return 404, [], False
    return (410, [], False) if known.deleted else (200, list(known.items), known.closed)


def generation(token: str) -> str:
    """That of an offset."""
    return token.partition("_")[0]


def producer(epoch: int, seq: int) -> dict[str, str]:
    """What a request says of its batch."""
    return {"Producer-Id": "p", "Producer-Epoch": str(epoch), "Producer-Seq": str(seq)}
