"""Segments: where a stream's events lie together once they have left the journal. Sans-I/O.

A segment is a blob of records (see ``journal``) of one stream, small enough to be read in one
go and large enough that a long stream is few rows. Cutting decides once, here, what a reader
behind the window pays: one row for up to 256 KiB, the same bound that a cursor reads by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tailrace.model import Event
from tailrace.stores.sqlite.journal import RECORD_OVERHEAD, DamagedBlobError, decode

# What a cursor reads at once (256 KiB): a larger segment would be read for a part of it, a
# smaller one would make a long replay many seeks.
SEGMENT_BYTES: Final = 256 * 1024


def cut(events: Sequence[Event], limit: int = SEGMENT_BYTES) -> Iterator[Sequence[Event]]:
    """Split into runs of at most ``limit`` bytes of records; a larger event is its own run."""
    start = size = 0
    for index, event in enumerate(events):
        length = RECORD_OVERHEAD + len(event.data)
        if index > start and size + length > limit:
            yield events[start:index]
            start, size = index, 0
        size += length
    if start < len(events):
        yield events[start:]


def extract(blob: bytes, stream: int, after: int) -> list[Event]:
    """A verified segment's events with ``seq > after``.

    Raises DamagedBlobError where it does not parse or belongs to another stream.
    """
    found = decode(blob, after)
    if any(owner != stream for owner, _ in found):
        raise DamagedBlobError("the segment belongs to another stream")
    return [event for _, event in found]
