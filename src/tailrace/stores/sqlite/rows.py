"""A row of the SQLite store's table ``streams``, and the stream that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tailrace.model import Ending, EndingCode, EndingKind, Offset, StreamInfo

SELECT_STREAM: Final = (
    "SELECT id, name, generation, content_type, created, source, last_seq, size, ending,"
    " reason, ending_seq, ending_time, trimmed, ttl, expires_at, deadline, ancestry,"
    " forked_from, sub_offset, deleted, note, owner, ending_code FROM streams "
)
"""What ``info_from_row`` reads; a condition follows."""

# What the reason of an ending began with whose code would be REPORTED, before there were codes.
_REPORTED: Final = "The upstream reported: "


def info_from_row(row: Sequence[Any]) -> StreamInfo:
    """A stream from a row of SELECT_STREAM. Raises ValueError for an unknown ending."""
    ending = None
    if row[8] is not None:
        ending = Ending(EndingKind(row[8]), row[9], row[10], row[11], _code(row[-1], row[9]))
    _, name, generation, content_type, created, source, last_seq, size = row[:8]
    trimmed, ttl, expires_at, deadline, ancestry, forked_from = row[12:18]
    sub_offset, deleted, note, owner = row[18:22]
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
        owner,
    )


def _code(code: str | None, reason: str) -> EndingCode:
    """The code of an ending; None: its row is from before there were codes."""
    if code is not None:
        return EndingCode(code)
    return EndingCode.REPORTED if reason.startswith(_REPORTED) else EndingCode.NONE


def ancestry_from_text(text: str) -> tuple[Offset, ...]:
    """A fork's ancestors as its row has them. Raises ValueError where they do not parse."""
    ancestors = []
    for token in text.split():
        offset = Offset.parse(token)
        if offset is None:
            raise ValueError("an ancestor is no offset")
        ancestors.append(offset)
    return tuple(ancestors)
