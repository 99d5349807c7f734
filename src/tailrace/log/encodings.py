"""Encodings shared between cursors: what a thousand viewers of one view read is made once.

Only what somebody else will want is kept: batches of streams with several viewers, and large
events, which leave in slices and would otherwise be encoded again for each slice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from tailrace.contracts import View
from tailrace.model import Event

# In all, whatever the number of streams: a few large events, or thousands of ordinary batches.
LIMIT: Final = 16 * 1024 * 1024

_Key = tuple[str, str, int, int]


class Encodings:
    """The least recently used encodings, up to ``limit`` bytes in all."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._size

    def encode(self, view: View, generation: str, events: Sequence[Event]) -> bytes:
        """``view.encode``, or what it gave before; for what others will want too."""
        key = (generation, view.name, events[0].seq, events[-1].seq)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        data = view.encode(generation, events)
        if len(data) <= self._limit:
            self._keep(key, data)
        return data

    def _keep(self, key: _Key, data: bytes) -> None:
        self._kept[key] = data
        self._size += len(data)
        while self._size > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest)
