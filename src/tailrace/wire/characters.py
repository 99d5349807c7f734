"""Where text may be cut: between the characters of UTF-8. Sans-I/O.

A client may cut its text anywhere, and what it appended comes back byte for byte. But an event
stream is made of characters, so a frame of it can end only between two. Bodies are therefore
stored such that the bytes of a character that was cut are events of their own: a reader of
frames joins few bytes to few bytes, however large what stands around them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# The longest character has four bytes: one that leads and three that follow.
_MOST: Final = 3
_LONGEST: Final = 4
# Spelled so because a compiled module cannot hold a lone surrogate.
_SURROGATE: Final = re.compile(f"[{chr(0xD800)}-{chr(0xDFFF)}]")


def is_well_formed(text: str) -> bool:
    """Whether UTF-8 can say it: JSON can spell half of a surrogate pair, and nothing else can."""
    return text.isascii() or _SURROGATE.search(text) is None


def well_formed(text: str) -> str:
    """``text`` with U+FFFD for each half of a surrogate pair that stands alone."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _needed(lead: int) -> int:
    """Bytes of a character that begins with this one; 0 for one that begins none."""
    if 0xC2 <= lead <= 0xDF:
        return 2
    if 0xE0 <= lead <= 0xEF:
        return 3
    return 4 if 0xF0 <= lead <= 0xF4 else 0


def _follows(byte: int) -> bool:
    return byte & 0xC0 == 0x80


def unfinished(data: bytes) -> int:
    """How many bytes at the end of ``data`` begin a character without ending it."""
    for back in range(1, min(_MOST, len(data)) + 1):
        byte = data[-back]
        if not _follows(byte):
            return back if _needed(byte) > back else 0
    return 0


def is_boundary(before: bytes, following: bytes) -> bool:
    """Whether no character lies across the place between the two; neither is empty."""
    return not (unfinished(before) and _follows(following[0]))


def pieces(data: bytes, limit: int, *, text: bool) -> list[bytes]:
    """``data`` as the data of events of at most ``limit`` bytes (more than a character).

    For ``text``, cut between characters; what belongs to one that the body itself cuts, at its
    beginning or its end, is a piece of its own.
    """
    if not text:
        return [data[start : start + limit] for start in range(0, len(data), limit)]
    return list(_text_pieces(data, limit))


def _text_pieces(data: bytes, limit: int) -> Iterator[bytes]:
    start, stop = 0, len(data) - unfinished(data)
    while start < min(_MOST, len(data)) and _follows(data[start]):
        start += 1
    if start:
        yield data[:start]
    while start < stop:
        end = min(start + limit, stop)
        if end < stop:
            end -= unfinished(data[end - _LONGEST : end])
        yield data[start:end]
        start = end
    if stop < len(data) and stop >= start:
        yield data[stop:]
