"""Where the encoding of a large event may be cut: the same whoever reads it, and however far."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from tailrace.contracts import LAST_PART, Part
from tailrace.wire.sse import continue_data

# Bytes of an event's data in one part. At most 112 KiB come of them (line ends in an event
# stream), and in base64 just one slice: a multiple of 3.
PART: Final = 24 * 1024
_CR: Final = 0x0D
_LF: Final = 0x0A
# Bytes of a character of UTF-8 that may follow its first.
_MOST: Final = 3


def stop_of(data: bytes, start: int) -> int:
    """The end of the part of ``data`` that begins at ``start``.

    It is neither within a character of UTF-8 nor within a CRLF.
    """
    stop = start + PART
    if stop >= len(data):
        return len(data)
    for back in range(_MOST + 1):
        if data[stop - back] & 0xC0 != 0x80:
            stop -= back
            break
    return stop + 1 if data[stop] == _LF and data[stop - 1] == _CR else stop


def following(data: bytes, stop: int) -> int:
    """The next part's place after one that ends at ``stop``."""
    return stop if stop < len(data) else LAST_PART


def block_part(head: bytes, data: bytes, start: int) -> Part:
    """A part of a block of Server-Sent Events, with ``head`` before its data."""
    stop = stop_of(data, start)
    lines = continue_data(data[start:stop])
    before = b"" if start else head + b"data: "
    behind = b"\n\n" if stop == len(data) else b""
    return b"%b%b%b" % (before, lines, behind), following(data, stop)


def base64_part(head: bytes, data: bytes, start: int) -> Part:
    """The same of a block whose data are base64; ``head`` ends with the field's name."""
    stop = min(start + PART, len(data))
    before = b"" if start else head
    behind = b"\n\n" if stop == len(data) else b""
    return b"%b%b%b" % (before, b64encode(data[start:stop]), behind), following(data, stop)
