"""JSON of a large value, a slice at a time: never all of it at once, nor long at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tailrace.wire.text_pieces import TextPieces

# Characters that are escaped at a time: some ten microseconds.
_TEXT: Final = 8 * 1024


def json_slices(value: Any, size: int) -> Iterator[bytes]:  # noqa: ANN401 - any JSON
    """Give what ``json.dumps(value)`` gives, in ASCII, in slices of ``size`` bytes or more.

    A slice is at most 100 KiB longer than ``size``; the last one may be shorter. Text that is
    still in pieces (``TextPieces``) is a string.
    """
    held: list[str] = []
    length = 0
    for piece in _encoded(value):
        held.append(piece)
        length += len(piece)
        if length >= size:
            yield "".join(held).encode("ascii")
            held, length = [], 0
    if held:
        yield "".join(held).encode("ascii")


def _encoded(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        yield from _string(iter((value,)))
    elif isinstance(value, TextPieces):
        yield from _string(value.parts())
    elif isinstance(value, dict):
        yield "{"
        for number, (name, member) in enumerate(value.items()):
            if number:
                yield ", "
            yield from _string(iter((name,)))
            yield ": "
            yield from _encoded(member)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for number, each in enumerate(value):
            if number:
                yield ", "
            yield from _encoded(each)
        yield "]"
    else:
        yield json.dumps(value)


def _string(texts: Iterator[str]) -> Iterator[str]:
    yield '"'
    for text in texts:
        for start in range(0, len(text), _TEXT):
            yield json.dumps(text[start : start + _TEXT])[1:-1]
    yield '"'
