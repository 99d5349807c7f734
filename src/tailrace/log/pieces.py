"""What follows a place, encoded once for all cursors that stand there, until the stream changes.

A thousand viewers that keep up ask for the same piece one after the other, so the one that was
asked for last is found by two comparisons.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

# Between two changes cursors that keep up are in a few views, at the one or two places where they
# were before the change.
_MOST: Final = 8


class Piece(NamedTuple):
    """What follows a place, in a view: the same for all cursors that stand there."""

    data: bytes
    """At most a slice, and not empty."""
    last: int
    """The number of its last event."""


make_piece: Final[Callable[[tuple[bytes, int]], Piece]] = partial(tuple.__new__, Piece)
"""As ``model.make_event``: one is made for every token."""


class Pieces:
    """By view and place."""

    __slots__ = ("_kept", "_piece", "_place", "_view")

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], Piece] = {}
        self._view = ""
        self._place = -1
        self._piece: Piece | None = None

    def get(self, view: str, place: int) -> Piece | None:
        """What was put there since the stream changed."""
        if place == self._place and view == self._view:
            return self._piece
        piece = self._kept.get((view, place))
        if piece is not None:
            self._view, self._place, self._piece = view, place, piece
        return piece

    def put(self, view: str, place: int, piece: Piece) -> None:
        """Have others find it, while there is room."""
        if len(self._kept) < _MOST:
            self._kept[view, place] = piece

    def clear(self) -> None:
        """The stream has changed."""
        if self._kept:
            self._kept.clear()
            self._place, self._piece = -1, None
