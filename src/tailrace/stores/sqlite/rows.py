"""A row of the SQLite store's table ``streams``, and the stream that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tailrace.model import Ending, EndingKind, Offset, StreamInfo

SELECT_STREAM: Final = (
    "SELECT id, name, generation, content_type, created, source, last_seq, size, ending,"
    " reason, ending_seq, ending_time, trimmed, ttl, expires_at, deadline, ancestry,"
    " forked_from, sub_offset, deleted, note FROM streams "
)
"""What ``info_from_row`` reads; a condition follows."""


def info_from_row(row: Sequence[Any]) -> StreamInfo:
    """A stream from a row of SELECT_STREAM. Raises ValueError for an unknown ending."""
    ending = None
    if row[8] is not None:
        ending = Ending(EndingKind(row[8]), row[9], row[10], row[11])
    _, name, generation, content_type, created, source, last_seq, size = row[:8]
    trimmed, ttl, expires_at, deadline, ancestry, forked_from, sub_offset, deleted, note = row[12:]
    return StreamInfo(
        name,
        generation,
        content_type,
        created,
        source,
        last_seq,
        size,
        ending,
        trimmed,
        ttl,
        expires_at,
        deadline,
        ancestry_from_text(ancestry),
        forked_from,
        sub_offset,
        bool(deleted),
        note,
    )


def ancestry_from_text(text: str) -> tuple[Offset, ...]:
    """A fork's ancestors as its row has them. Raises ValueError where they do not parse."""
    ancestors = []
    for token in text.split():
        offset = Offset.parse(token)
        if offset is None:
            raise ValueError("an ancestor is no offset")
        ancestors.append(offset)
    return tuple(ancestors)
