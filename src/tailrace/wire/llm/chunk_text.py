"""The text of a chunk, without decoding the chunk. Sans-I/O."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Final

from tailrace.wire.characters import well_formed
from tailrace.wire.json import strict_json
from tailrace.wire.json.scan import check_utf8
from tailrace.wire.json.strict_json import LARGE, Value
from tailrace.wire.slices import finish

# Twenty times the usual: a longer chunk is no ordinary one, and the patterns' memory is bounded.
ORDINARY_LIMIT: Final = 4096
# What may stand in the place of an ordinary chunk's text, and leave it an ordinary chunk; and
# what leaves it a chunk: line ends and quotes are in every tenth token.
PLAIN_TEXT: Final = rb'[^"\\\x00-\x1f]*+'
ESCAPED_TEXT: Final = PLAIN_TEXT + rb'(?:\\["\\/bfnrt]' + PLAIN_TEXT + rb")*"
_is_plain_text: Final = re.compile(PLAIN_TEXT).fullmatch

# The one character that is not ASCII and may be part of a name (wire/chat.py).
_LONG_S: Final = "\u017f".encode()
# Plain: ASCII, no escapes.
_STRING: Final = rb'"[^"\\\x00-\x1f\x80-\xff]*+"'
_SCALAR: Final = rb"(?:" + _STRING + rb"|null|true|false|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?|\[\])"


def plain_member(but: bytes) -> bytes:
    """A pattern for a member whose value is a plain scalar, or an empty list.

    ``but``: a pattern for names that it may not have, whatever their case.
    """
    return rb'(?!"(?i:' + but + rb')")' + _STRING + rb": ?" + _SCALAR


def plain_object(wanted: bytes, other: bytes) -> bytes:
    """A pattern for an object of one ``wanted`` member among ``other`` ones.

    Members are not repeated possessively, although they could be: Python below 3.11.5 then finds
    no match (gh-106052).
    """
    return rb"\{(?:" + other + rb", ?)*" + wanted + rb"(?:, ?" + other + rb")*\}"


class Mould:
    """The chunks of one answer differ in their text alone: what one of them has around it.

    To compare with the last one's surroundings proves of a chunk what the whole pattern would
    prove, at a third of its cost; and every token of an answer comes through here, once when
    it is read and once for each view that shows text.
    """

    __slots__ = ("_pattern", "head", "least", "tail")

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        """``pattern``: of the whole of an ordinary chunk; the text, unless null, is group 1."""
        self._pattern: Final = pattern
        self.head = b""
        self.tail = b""
        self.least = sys.maxsize
        """Bytes of head and tail; before the first was seen nothing is as long."""

    def text(self, chunk: bytes) -> bytes | None:
        """The bytes of an ordinary chunk's text, which need not be UTF-8; None for any other.

        Around it there is ASCII alone.
        """
        size = len(chunk)
        if size >= self.least and chunk.startswith(self.head) and chunk.endswith(self.tail):
            begin, end = len(self.head), size - len(self.tail)
            if _is_plain_text(chunk, begin, end):
                return chunk[begin:end]
        return self._learn(chunk)

    def _learn(self, chunk: bytes) -> bytes | None:
        if len(chunk) > ORDINARY_LIMIT:
            return None
        match = self._pattern.fullmatch(chunk)
        if match is None:
            return None
        begin, end = match.span(1)
        if begin < 0:  # null
            return b""
        self.remember(chunk, begin, end)
        return chunk[begin:end]

    def remember(self, chunk: bytes, begin: int, end: int) -> None:
        """What ``chunk`` has around its text."""
        self.head, self.tail = chunk[:begin], chunk[end:]
        self.least = begin + len(self.tail)


class ChunkText:
    """The text of each chunk of one answer, of which it remembers what they look like."""

    __slots__ = ("_exact", "_mould")

    def __init__(self, pattern: re.Pattern[bytes], exact: Callable[[bytes], bytes]) -> None:
        """``exact`` decodes a chunk; ``pattern``, as `Mould` takes it, is where it need not."""
        self._mould: Final = Mould(pattern)
        self._exact: Final = exact

    def __call__(self, chunk: bytes) -> bytes:
        """In UTF-8; empty for what has no text."""
        ordinary = self._mould.text(chunk)
        if ordinary is not None and (ordinary.isascii() or _is_utf8(ordinary)):
            return ordinary
        return self._exact(chunk)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_value(data: bytes) -> tuple[Value, Callable[[str], bytes]]:
    """The JSON value of an event, and what makes UTF-8 of a string in it. Raises NotJson.

    Of a large event the strings are made of its bytes, where nothing in it says a character by its
    number: with one emoji in it a text of 15 MiB would take 60 to read, twice.
    """
    if len(data) <= LARGE or data.isascii() or b"\\u" in data or _LONG_S in data:
        return strict_json.loads(data), utf8
    return strict_json.loads(data, latin=True), _of_bytes


def _of_bytes(text: str) -> bytes:
    data = text.encode("latin-1")
    try:
        finish(check_utf8(data))
    except UnicodeDecodeError:
        return utf8(data.decode("utf-8", "surrogateescape"))
    return data


def utf8(text: str) -> bytes:
    """``text`` as bytes; what UTF-8 cannot say, a lone surrogate, becomes U+FFFD."""
    return well_formed(text).encode()
