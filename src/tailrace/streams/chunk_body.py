"""The body of a catch-up or a long-poll: a stream's data between two places, in slices.

    a stream of       body
    ----------------  ------------------------------------------------
    JSON              ``[message,message]``; ``[]`` where there is none
    anything else     the bytes, as they were appended

Its length is announced, so that a client knows whether it has all. While the client takes nothing,
a body holds a place and no events, as a cursor does: whoever does not read costs one slice, and
the events are read again from the window or the history, which all readers share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tailrace.errors import NotFound
from tailrace.log.cursor import READ, SLICE
from tailrace.log.reading import read_range
from tailrace.log.stream import Stream
from tailrace.model import DATA, Event
from tailrace.wire.media_type import is_json


class ChunkBody:
    """What ``stream`` has after ``place``, as far as ``events`` reach, which follow that place.

    ``events`` are looked at and not kept.
    """

    def __init__(self, stream: Stream, place: int, events: Sequence[Event]) -> None:
        self._stream = stream
        self._place = place
        self._skip = 0
        """Bytes of the next event's data that went out."""
        data = [len(event.data) for event in events if event.type == DATA]
        self._is_json: Final = is_json(stream.content_type)
        self._end: Final = events[-1].seq if events else place
        self._separator = b"[" if self._is_json else b""
        brackets = max(len(data) + 1, 2) if self._is_json else 0
        self.length: Final = sum(data) + brackets
        """Bytes of the whole body."""
        self._left = self.length

    async def next(self) -> bytes:
        """Return the next slice; empty where there is no more.

        Raises NotFound where the events are no longer kept, StoreUnavailable where they cannot be
        read. The body cannot be completed then.
        """
        if not self._left:
            return b""
        piece = b""
        while not piece and self._place < self._end:
            piece = self._take(
                await read_range(self._stream, self._place, 1 if self._skip else READ)
            )
        if self._is_json and self._place >= self._end:
            piece += b"[]" if self._separator == b"[" else b"]"
        self._left -= len(piece)
        if self._left < 0 or not piece:
            raise NotFound("What was announced is no longer kept.")
        return piece

    def _take(self, events: Sequence[Event]) -> bytes:
        if not events:
            raise NotFound("What was announced is no longer kept.")
        seq, _, kind, data = events[0]
        if len(data) > SLICE and kind == DATA:
            return self._take_slice(seq, data)
        run = [event for event in events if event.seq <= self._end]
        self._place = self._end if len(run) < len(events) else run[-1].seq
        return self._joined([event.data for event in run if event.type == DATA])

    def _take_slice(self, seq: int, data: bytes) -> bytes:
        start = self._skip
        piece = data[start : start + SLICE]
        self._skip = start + len(piece)
        if self._skip == len(data):
            self._place, self._skip = seq, 0
        return piece if start else self._joined([piece])

    def _joined(self, data: Sequence[bytes]) -> bytes:
        if not self._is_json:
            return b"".join(data)
        if not data:
            return b""
        before, self._separator = self._separator, b","
        return before + b",".join(data)
