"""Records: how events lie in a blob. Sans-I/O, shared by journal rows and segments.

A blob is a run of records and nothing else; how many there are follows from its length, and
its CRC-32 is kept in a column beside it, so that a large blob is never copied to prepend one.

    offset  size  field
    0       8     stream    the stream's key in the store, unsigned
    8       8     seq       unsigned
    16      8     time      milliseconds since the epoch, signed
    24      2     t         length of the type in UTF-8
    26      4     n         length of the data
    30      t     type
    30+t    n     data

Integers are little-endian. A record names its stream also inside a segment, where all are the
same: eight bytes buy one codec, and a segment that was linked to the wrong stream is noticed.

SQLite commits a blob whole or not at all, so the checksum is not there to find torn writes but
media that return something else than what was written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias
from zlib import crc32

from tailrace.model import Event, make_event

_HEAD: Final = struct.Struct("<QQqHI")
RECORD_OVERHEAD: Final = _HEAD.size
"""Bytes a record takes beside its type and data."""

Record: TypeAlias = tuple[int, Sequence[Event]]
"""A stream's key and consecutive events of that stream."""


class DamagedBlobError(ValueError):
    """The bytes are not what was written."""


def encode(records: Iterable[Record]) -> bytes:
    """Lay the events one after another, in the order given."""
    parts: list[bytes] = []
    add = parts.append
    pack = _HEAD.pack
    type_, kind = "", b""
    for stream, events in records:
        for seq, time, event_type, data in events:
            if event_type is not type_:  # nearly always the same constant
                type_, kind = event_type, event_type.encode()
            add(pack(stream, seq, time, len(kind), len(data)))
            add(kind)
            add(data)
    return b"".join(parts)


def checksum(blob: bytes) -> int:
    """What is kept beside a blob; ``verify`` compares it."""
    return crc32(blob)


def verify(blob: object, expected: object) -> bytes:
    """The blob, if it is bytes and its checksum is the expected one; else DamagedBlobError."""
    if not isinstance(blob, bytes) or crc32(blob) != expected:
        raise DamagedBlobError("the checksum does not match")
    return blob


def decode(blob: bytes, after: int = -1) -> list[tuple[int, Event]]:
    """Each record's stream and event, leaving out those with ``seq <= after``.

    Raises DamagedBlobError where the bytes do not parse.
    """
    found: list[tuple[int, Event]] = []
    kinds: dict[bytes, str] = {}
    position, end = 0, len(blob)
    while position < end:
        try:
            stream, seq, time, kind_length, length = _HEAD.unpack_from(blob, position)
        except struct.error:
            raise DamagedBlobError("a record's head is cut short") from None
        start = position + RECORD_OVERHEAD
        middle = start + kind_length
        position = middle + length
        if position > end:
            raise DamagedBlobError("a record is cut short")
        if seq <= after:
            continue
        spelled = blob[start:middle]
        kind = kinds.get(spelled)
        if kind is None:
            kind = kinds[spelled] = _decode_kind(spelled)
        found.append((stream, make_event((seq, time, kind, blob[middle:position]))))
    return found


def _decode_kind(spelled: bytes) -> str:
    try:
        return spelled.decode()
    except UnicodeDecodeError:
        raise DamagedBlobError("an event's type is not UTF-8") from None
