"""JSON texts of any size in the shapes that cost most to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


def _array(entry: bytes, last: bytes = b"1") -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        return b"[[" + entry * (size // len(entry)) + last + b"]]"

    return make


def _object(member: bytes) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        return b"[{" + member * (size // len(member)) + b'"z":1}]'

    return make


def _string(inside: bytes, end: bytes = b"") -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        return b'["' + inside * (size // len(inside)) + end + b'"]'

    return make


def _levels(opening: bytes, closing: bytes, levels: int = 100) -> bytes:
    return opening * levels + b"1" + closing * levels


SHAPES: Final[dict[str, Callable[[int], bytes]]] = {
    "small numbers": _array(b"1,"),
    "empty arrays": _array(b"[],"),
    "empty objects": _array(b"{},"),
    "empty strings": _array(b'"",'),
    "short strings": _array(b'"ab",'),
    "small objects": _array(b'{"a":1},'),
    "white space": _array(b" \t\r\n1 , "),
    "nested arrays": _array(_levels(b"[", b"]") + b","),
    "nested objects": _array(_levels(b'{"a":', b"}") + b","),
    "shallow nests": _array(b"[[[[]]]],"),
    "mixed nests": _array(b'{"a":[1,{"b":[[]]}]},'),
    "long containers in one another": _array(_levels(b"[" + b"1," * 2500, b"]") + b","),
    "huge numbers": _array(b"1" * 10_000 + b","),
    "equal names": _object(b'"a":1,'),
    "equal names of nests": _object(b'"a":[[[]]],'),
    "one string": _string(b"a"),
    "escapes": _string(rb"\u0041"),
    "quotes": _string(rb"\""),
    "surrogates": _string(rb"\ud83d\ude00"),
    "one emoji at the end": _string(b"a", "🌊".encode()),
    "emojis": _string("🌊".encode()),
}
"""What makes a text of about so many bytes: an array of one entry, which has that shape."""
