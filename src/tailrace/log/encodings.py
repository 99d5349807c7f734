"""Encodings shared between cursors: what a thousand viewers of one view read is made once.

Only what somebody else will want is kept: batches and parts of large events in streams with
several viewers, and large events that a view can encode only as a whole, which leave in slices
and would otherwise be encoded again for each slice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from tailrace.contracts import Part, View
from tailrace.model import Event

# In all, whatever the number of streams: a few large events, or thousands of ordinary batches.
LIMIT: Final = 16 * 1024 * 1024

_Key = tuple[str, str, int, int]
"""A generation, a view, the number of the first event, and that of the last; of a part, where it
begins, as a negative number."""
# No place follows an encoding that is no part.
_WHOLE: Final = -1


class Encodings:
    """The newest encodings, up to ``limit`` bytes in all, or a single one that is larger."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[_Key, Part] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._size

    def encode(self, view: View, generation: str, events: Sequence[Event]) -> bytes:
        """``view.encode``, or what it gave before; for what others will want too."""
        key = (generation, view.name, events[0].seq, events[-1].seq)
        kept = self._kept.get(key)
        if kept is not None:
            return kept[0]
        data = view.encode(generation, events)
        self._keep(key, (data, _WHOLE))
        return data

    def part(self, view: View, generation: str, event: Event, place: int) -> Part | None:
        """``view.part``, or what it gave before."""
        key = (generation, view.name, event.seq, -1 - place)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        part = view.part(generation, event, place)
        if part is not None:
            self._keep(key, part)
        return part

    def _keep(self, key: _Key, part: Part) -> None:
        """The newest is kept whatever its size: its next slice is wanted soon."""
        self._kept[key] = part
        self._size += len(part[0])
        while self._size > self._limit and len(self._kept) > 1:
            _, (oldest, _) = self._kept.popitem(last=False)
            self._size -= len(oldest)
