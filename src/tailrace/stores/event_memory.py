"""What events take in memory, and how many of them a reader gets at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tailrace.model import Event

# CPython 3.11's price of an Event beside its data: tuple 88, two integers 64, bytes object 33 and
# a list's slot 8, rounded up. Bounds on memory must count it: a token's data may be one byte.
EVENT_OVERHEAD: Final = 200


def weight(events: Sequence[Event]) -> int:
    """Bytes of memory that these events take; never less than their records take in a blob."""
    return sum([len(event.data) for event in events]) + EVENT_OVERHEAD * len(events)


def take(events: Sequence[Event], start: int, limit: int) -> list[Event]:
    """From index ``start``: one event at least, then as many as fit into ``limit`` bytes."""
    size = 0
    for index in range(start, len(events)):
        size += len(events[index].data)
        if size > limit and index > start:
            return list(events[start:index])
    return list(events[start:])
