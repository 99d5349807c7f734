"""Where a fork branches off, and what it takes along. No I/O.

A fork shares its ancestors' events up to a place, its anchor. What a sub-offset adds beyond that
(messages of a JSON stream, bytes of any other) lies within what one append made, so it becomes
the fork's own first events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tailrace.errors import BadRequest
from tailrace.model import DATA, Event, Offset, StreamInfo

# Each read looks through the ancestry, and each ancestor is kept for its forks.
MAX_DEPTH: Final = 64
# What a sub-offset may copy: the largest body that one append can have by default.
MAX_TAKEN: Final = 32 * 1024 * 1024


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


def reach(sub_offset: int, *, messages: bool) -> int:
    """Bytes of data to be read for ``take``: a message may be anything up to a whole body."""
    return min(sub_offset, MAX_TAKEN) if not messages else MAX_TAKEN


def take(events: Sequence[Event], amount: int, *, messages: bool) -> list[tuple[str, bytes]]:
    """The first ``amount`` messages, or bytes, of data in ``events``, as records.

    Raises BadRequest where there are fewer.
    """
    taken: list[tuple[str, bytes]] = []
    for event in events:
        if amount <= 0:
            break
        if event.type != DATA:
            continue
        data = event.data if messages else event.data[:amount]
        amount -= 1 if messages else len(data)
        taken.append((DATA, data))
    if amount > 0:
        raise BadRequest("Stream-Fork-Sub-Offset reaches beyond what follows the fork's offset.")
    return taken
