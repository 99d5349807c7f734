"""How a stream is to be made, and whether one that is there was made so. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tailrace.errors import ContentTypeMismatch
from tailrace.model import Ending, EndingKind, Event, Offset, StreamInfo
from tailrace.wire.media_type import essence

Records: TypeAlias = Sequence[tuple[str, bytes]]
"""Types and data of events that have no number yet."""


class Making(NamedTuple):
    """What can be said of a stream that is to be made."""

    content_type: str
    ttl: int | None = None
    """Seconds; never beside ``expires_at``."""
    expires_at: int | None = None
    """Milliseconds since the epoch."""
    close: bool = False
    """It is complete with what it is made with."""


class Forking(NamedTuple):
    """What can be said of a fork that is to be made, where None means: as its source."""

    source: str
    """The name of the stream to be forked."""
    anchor: Offset | str | None = None
    """The place up to which its events are shared: an offset, ``"-1"``, ``"now"``; None: the
    source's end at this moment."""
    sub_offset: int = 0
    """So many messages of a JSON stream, or bytes of another, beyond it are taken along."""
    content_type: str | None = None
    ttl: int | None = None
    expires_at: int | None = None
    close: bool = False

    def inherit(self, source: StreamInfo) -> Making:
        """What it comes to. Either limit of its own replaces both of the source's.

        Raises ContentTypeMismatch for a type that is not the source's.
        """
        if self.content_type is not None:
            refuse_other_type(self.content_type, source.content_type)
        if self.ttl is None and self.expires_at is None:
            return Making(source.content_type, source.ttl, source.expires_at, self.close)
        return Making(source.content_type, self.ttl, self.expires_at, self.close)


def refuse_other_type(given: str, own: str) -> None:
    """Raises ContentTypeMismatch where that is not a stream's own type; parameters do not count."""
    if essence(given) != essence(own):
        raise ContentTypeMismatch(f"This stream holds {essence(own)}; send that, or make another.")


def differs(info: StreamInfo, making: Making, *, closed: bool) -> bool:
    """Whether a stream was made in another way than this, or is by now open or closed otherwise."""
    wanted = (essence(making.content_type), making.ttl, making.expires_at, making.close)
    return wanted != (essence(info.content_type), info.ttl, info.expires_at, closed)


def is_same_fork(info: StreamInfo, source: StreamInfo, wish: Forking, place: int) -> bool:
    """Whether a stream was forked from there; a wish that names no place fits any."""
    if not info.ancestry or info.ancestry[-1].generation != source.generation:
        return False
    same_place = wish.anchor is None or info.inherited == place
    return same_place and info.sub_offset == wish.sub_offset


def made(info: StreamInfo, records: Records, *, close: bool) -> tuple[list[Event], Ending | None]:
    """The first events of a stream that begins as ``info``, and its ending."""
    events = [
        Event(info.last_seq + number, info.created, kind, data)
        for number, (kind, data) in enumerate(records, 1)
    ]
    if not close:
        return events, None
    seq = info.last_seq + len(events) + 1
    return events, Ending(EndingKind.COMPLETED, "", seq, info.created)
