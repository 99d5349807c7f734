"""The tail of a stream in memory: the newest events, up to a number of bytes.

Readers that keep up never leave it. It is a cache: everything in it can be read from the store
as well, so it may be trimmed at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tailrace.model import Event, make_event

# What an entry costs besides its data: the tuple, its integers, the bytes object's header.
_OVERHEAD: Final = 200


def fitting(events: Sequence[Event], start: int, size: int, count: int) -> list[Event]:
    """From index ``start`` on: at least one event, then as many as fit into both limits."""
    run = events[start : start + count]
    if sum([len(event.data) for event in run]) <= size:  # as a rule
        return list(run)
    stop = start
    while stop < len(events) and stop - start < count:
        size -= len(events[stop].data)
        if size < 0 and stop > start:
            break
        stop += 1
    return list(events[start:stop])


class Window:
    """Consecutive events, oldest first."""

    __slots__ = ("_events", "_limit", "_size", "start")

    def __init__(self, start: int, limit: int) -> None:
        self.start = start
        """The place before the oldest event held here."""
        self._limit = limit
        self._size = 0
        self._events: list[Event] = []

    @property
    def size(self) -> int:
        """Bytes held, overhead included."""
        return self._size

    def number(
        self, records: Sequence[tuple[str, bytes]], after: int, now: int
    ) -> tuple[list[Event], int]:
        """Make events of types and data, numbered on from ``after``, and take them.

        Returns the events, and their bytes of data. ``now``: milliseconds since the epoch.
        """
        events = []
        size = 0
        for kind, data in records:
            after += 1
            size += len(data)
            events.append(make_event((after, now, kind, data)))
        self.extend(events, size)
        return events, size

    def extend(self, events: list[Event], size: int) -> None:
        """Take the next events, ``size`` bytes of data; forget the oldest when it is too much."""
        self._events.extend(events)
        self._size += size + _OVERHEAD * len(events)
        if self._size > self._limit:
            self._trim()

    def _trim(self) -> None:
        """Down to half the limit, so that trimming costs O(1) for each event in the long run.

        The newest event stays whatever its size: every live reader is about to want it.
        """
        drop = 0
        while self._size > self._limit // 2 and drop < len(self._events) - 1:
            self._size -= len(self._events[drop].data) + _OVERHEAD
            drop += 1
        del self._events[:drop]
        self.start += drop

    def clear(self) -> None:
        """Forget all; the place where new events go on is kept."""
        self.start += len(self._events)
        self._events.clear()
        self._size = 0

    def read(self, after: int, size: int, count: int) -> list[Event] | None:
        """Events after a place, within the limits; None where that place is before the window."""
        if after < self.start:
            return None
        if after - self.start == len(self._events) - 1:  # as of a reader that keeps up
            return self._events[-1:]
        return fitting(self._events, after - self.start, size, count)
