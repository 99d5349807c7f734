"""What all streams of one process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tailrace.contracts import Store
from tailrace.errors import StoreFull, StoreOverloaded, StoreUnavailable
from tailrace.log.commits import Commits
from tailrace.log.doorbell import Doorbell
from tailrace.log.encodings import Encodings
from tailrace.log.heartbeats import Heartbeats
from tailrace.log.history import History


@dataclass(frozen=True)
class Machinery:
    """Made once, given to each of them."""

    store: Store
    commits: Commits
    bell: Doorbell
    history: History
    encodings: Encodings
    heartbeats: Heartbeats
    window: int
    """Bytes of each stream's tail to keep in memory."""
    wall: Callable[[], int]
    """Milliseconds since the epoch."""
    clock: Callable[[], float]
    """Loop time, seconds."""
    max_streams: int = 1_000_000
    """Streams at a time; beyond, clients make none."""
    max_producers: int = 1000
    """Idempotent producers that one stream remembers; some 400 bytes each."""


def refuse_if_unwell(store: Store) -> None:
    """Raises StoreFull, StoreUnavailable or StoreOverloaded where a new append would wait."""
    health = store.health()
    if health.failure:
        raise (StoreFull if health.full else StoreUnavailable)(health.failure)
    if health.congested:
        raise StoreOverloaded("More waits to be written than may; try again in a moment.")
