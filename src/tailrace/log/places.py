"""Which number an offset means in a stream."""

from __future__ import annotations

from typing import Final

from tailrace.errors import OffsetGone
from tailrace.log import forking
from tailrace.log.stream import Stream
from tailrace.model import Offset

EARLIEST: Final = "-1"
LATEST: Final = "now"


def place(stream: Stream, token: str | Offset) -> int:
    """The number that an offset means in ``stream``.

    Raises OffsetGone for an offset of another making of the name, or of what is no longer
    kept. A number past the end of what can be seen reads as that end.
    """
    if token == EARLIEST:
        return stream.trimmed
    if token == LATEST:
        return stream.visible
    assert isinstance(token, Offset)  # noqa: S101 - the two words are all the strings
    seq = forking.locate(stream.info, token)
    if seq is None:
        raise OffsetGone(
            "This offset belongs to another stream, perhaps an earlier one of this name; "
            "start again from -1."
        )
    if seq < stream.trimmed:
        raise OffsetGone("What follows this offset is no longer kept; start again from -1.")
    return min(seq, stream.visible) if stream.ending is None else seq


def anchor(parent: Stream, wish: Offset | str | None) -> int:
    """The place in ``parent`` up to which a fork is to have its events; None: its end."""
    if wish is None or wish == LATEST:
        return parent.visible
    if not isinstance(wish, Offset):
        return parent.trimmed
    return forking.place_of(parent.info, wish)
