"""Records: how events lie in a blob. Sans-I/O, shared by journal rows and segments.

A blob is a run of records and nothing else; how many there are follows from its length. It is
stored compressed (LZ4's block format) where that makes it smaller: chunks of a model's answer
differ in a few bytes, and what is not written need not be checked, logged, copied and erased
(ADR 13). Two columns beside it say its CRC-32 as it is stored, and
its length before that, so that a large blob is never copied to prepend them.

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
from typing import Final, NamedTuple, TypeAlias
from zlib import crc32

import lz4.block

from tailrace.model import Event, make_event

_HEAD: Final = struct.Struct("<QQqHI")
RECORD_OVERHEAD: Final = _HEAD.size
"""Bytes a record takes beside its type and data."""

# A single short event does not get smaller.
_COMPRESSED_FROM: Final = 256
# No byte of LZ4 stands for more than 255 (its block format's length bytes).
_RATIO: Final = 255

Record: TypeAlias = tuple[int, Sequence[Event]]
"""A stream's key and consecutive events of that stream."""


class Blob(NamedTuple):
    """What is stored, a column each."""

    crc: int
    """CRC-32 of ``data``."""
    plain: int
    """The bytes of the records before they were compressed; 0: they were not."""
    data: bytes


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


def seal(records: Iterable[Record]) -> Blob:
    """Encode, and compress where that is worth it."""
    data = encode(records)
    if len(data) >= _COMPRESSED_FROM:
        packed = lz4.block.compress(data, store_size=False)
        if len(packed) < len(data):
            return Blob(crc32(packed), len(data), packed)
    return Blob(crc32(data), 0, data)


def unseal(crc: object, plain: object, data: object) -> bytes:
    """The records as they were encoded. Raises DamagedBlobError where the columns do not agree."""
    if not isinstance(data, bytes) or crc32(data) != crc:
        raise DamagedBlobError("the checksum does not match")
    if plain == 0:
        return data
    if not isinstance(plain, int) or not 0 < plain <= _RATIO * len(data):
        raise DamagedBlobError("its length cannot be right")
    try:
        found: bytes = lz4.block.decompress(data, uncompressed_size=plain)
    except lz4.block.LZ4BlockError:
        raise DamagedBlobError("it cannot be decompressed") from None
    if len(found) != plain:
        raise DamagedBlobError("its length is not what was written")
    return found


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
