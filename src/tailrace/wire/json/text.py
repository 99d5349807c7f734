"""Long texts into and out of JSON strings and forms, in slices. Sans-I/O.

A text in memory takes four bytes for each of its characters as soon as one of them is an emoji,
so texts are UTF-8 here, and decoded only a slice at a time.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from tailrace.wire.slices import Work

# Bytes, or characters, at once: the slowest of these, percent-encoding, takes a third of a
# millisecond.
_SLICE: Final = 8 * 1024
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"
_BAD_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# As much of a string as can be cut off without cutting an escape, or two that are one character.
_match_uncut: Final = re.compile(
    rb"""(?:
        [^\\]++
      | \\[^u]
      | \\u(?![dD][89abAB])[0-9a-fA-F]{4}
      | \\u[dD][89abAB].. (?:\\u[dD][c-fC-F].. | (?!\\u[dD][c-fC-F]) (?=.{6}))
    )*""",
    re.VERBOSE | re.DOTALL,
).match


def unescape(data: bytes, start: int, end: int) -> Work[bytearray]:
    """The text of the JSON string between ``start`` and ``end``, quotes included, as UTF-8.

    The string is known to be one, in UTF-8. Half a character becomes U+FFFD, as Go has it.
    """
    text = bytearray()
    at, end = start + 1, end - 1
    while at < end:
        cut = _cut(data, at, end)
        piece: str = json.loads(b'"%b"' % data[at:cut])
        text += _utf8(piece)
        at = cut
        yield
    return text


def _cut(data: bytes, at: int, end: int) -> int:
    """Where the next slice ends."""
    if at + _SLICE >= end:
        return end
    match = _match_uncut(data, at, at + _SLICE)
    cut = match.end() if match else at + _SLICE
    while 0x80 <= data[cut] < 0xC0:  # within a character
        cut -= 1
    return cut


def quote(text: str) -> Work[list[bytes]]:
    """``text``, which has no lone surrogates, as a JSON string in UTF-8, in pieces."""
    quoted = [b'"']
    for at in range(0, len(text), _SLICE):
        piece = json.dumps(text[at : at + _SLICE], ensure_ascii=False)
        quoted.append(piece[1:-1].encode())
        yield
    quoted.append(b'"')
    return quoted


def unquote(raw: bytes, start: int, end: int) -> Work[bytearray | None]:
    """The value of a form, or query, between ``start`` and ``end``, as UTF-8; None where an
    escape is broken.

    One U+FFFD for each bad byte, as Go has it; Python's ``replace`` makes fewer of them.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = bytearray()
    at = start
    while at < end:
        cut = min(at + _SLICE, end)
        percent = raw.rfind(b"%", max(at, cut - 2), cut)
        if percent > at and cut < end:  # an escape would be cut
            cut = percent
        piece = raw[at:cut]
        if _BAD_PERCENT.search(piece):
            return None
        at = cut
        plain = unquote_to_bytes(piece.replace(b"+", b" "))
        text += _utf8(decoder.decode(plain, final=at == end))
        yield
    return text


def _utf8(text: str) -> bytes:
    return _SURROGATE.sub(_REPLACEMENT, text).encode()
