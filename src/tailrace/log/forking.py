"""Where a fork branches off, and what it takes along. No I/O of its own.

A fork shares its ancestors' events up to a place, its anchor. What a sub-offset adds beyond that
(messages of a JSON stream, bytes of any other) lies within what one append made, so it becomes
the fork's own first events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tailrace.errors import BadRequest
from tailrace.model import DATA, Event, Offset, StreamInfo

# Each read looks through the ancestry, and each ancestor is kept for its forks.
MAX_DEPTH: Final = 64
# What a sub-offset may copy: the largest body that one append can have by default.
MAX_TAKEN: Final = 32 * 1024 * 1024
# Bytes read at a time for it: one read of the store.
READ: Final = 256 * 1024


def ancestry(source: StreamInfo, anchor: int) -> tuple[Offset, ...]:
    """Of a fork of ``source`` after event ``anchor``. Raises BadRequest beyond MAX_DEPTH.

    The source is in it even where it has no part of its own: it is kept while the fork is there.
    """
    if len(source.ancestry) >= MAX_DEPTH:
        raise BadRequest(f"Forks of forks may be {MAX_DEPTH} deep; fork an earlier one.")
    cut = tuple(Offset(part.generation, min(part.seq, anchor)) for part in source.ancestry)
    return (*cut, Offset(source.generation, anchor))


def locate(info: StreamInfo, offset: Offset) -> int | None:
    """The number that ``offset`` means in this stream; None: it is no place in it."""
    if offset.generation == info.generation:
        return offset.seq
    for ancestor in info.ancestry:
        if offset.generation == ancestor.generation and offset.seq <= ancestor.seq:
            return offset.seq
    return None


def place_of(info: StreamInfo, offset: Offset) -> int:
    """The number that a fork's anchor means. Raises BadRequest where the stream has none such."""
    seq = locate(info, offset)
    if seq is None:
        raise BadRequest("Stream-Fork-Offset is no offset of the stream to be forked.")
    if info.ending is not None and seq >= info.ending.seq:
        return info.last_seq
    if seq > info.last_seq:
        raise BadRequest("Stream-Fork-Offset is beyond the end of the stream to be forked.")
    if seq < info.trimmed:
        raise BadRequest("What follows Stream-Fork-Offset is no longer kept.")
    return seq


def part(info: StreamInfo, place: int) -> Offset:
    """Whose part has what follows ``place``, and, where that is an ancestor's, its end."""
    for ancestor in info.ancestry:
        if place < ancestor.seq:
            return ancestor
    return Offset(info.generation, info.last_seq)


class Taking:
    """Collects what a sub-offset takes along, however many events it lies in."""

    def __init__(self, amount: int, *, messages: bool) -> None:
        """``amount`` is of messages, or else of bytes, of data."""
        self.wanted = amount
        """What is still to be taken."""
        self.records: list[tuple[str, bytes]] = []
        self._messages = messages
        self._size = 0

    def take(self, events: Sequence[Event]) -> None:
        """Take from the next events; none: there are no more.

        Raises BadRequest where that is too early, or for more than MAX_TAKEN bytes.
        """
        if not events:
            raise BadRequest(
                "Stream-Fork-Sub-Offset reaches beyond what follows the fork's offset."
            )
        for event in events:
            if self.wanted and event.type == DATA:
                self._take(event.data)

    def _take(self, data: bytes) -> None:
        piece = data if self._messages else data[: self.wanted]
        self.wanted -= 1 if self._messages else len(piece)
        self._size += len(piece)
        if self._size > MAX_TAKEN:
            raise BadRequest(f"Stream-Fork-Sub-Offset takes more than {MAX_TAKEN} bytes along.")
        self.records.append((DATA, piece))


async def taken(
    read: Callable[[int, int], Awaitable[Sequence[Event]]], place: int, taking: Taking
) -> list[tuple[str, bytes]]:
    """What is taken along from ``place`` on; ``read`` gives what follows a place, in pieces.

    Raises BadRequest, and what ``read`` raises.
    """
    while taking.wanted:
        events = await read(place, READ)
        taking.take(events)
        place = events[-1].seq
    return taking.records
