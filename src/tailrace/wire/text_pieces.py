"""A long text that is kept in pieces until it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

# Characters that are joined at a time, or so many pieces.
_JOINED: Final = 8 * 1024


class TextPieces:
    """Text that is still to be joined."""

    __slots__ = ("_pieces",)

    def __init__(self, *pieces: str) -> None:
        self._pieces = list(pieces)

    def add(self, piece: str) -> None:
        """One more at the end."""
        self._pieces.append(piece)

    def __str__(self) -> str:
        return "".join(self._pieces)

    def parts(self) -> Iterator[str]:
        """The text in order, some of it at a time."""
        held: list[str] = []
        length = 0
        for piece in self._pieces:
            held.append(piece)
            length += len(piece) + 1
            if length >= _JOINED:
                yield "".join(held)
                held, length = [], 0
        yield "".join(held)
