"""A stream in an application's hands: append to it, close it, follow it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final, Literal, NamedTuple

from tailrace.embed.records import check_type, encode
from tailrace.errors import MalformedOffset, OffsetGone, ShuttingDown, TailraceError
from tailrace.log.catalogue import Catalogue
from tailrace.log.lifecycle import State
from tailrace.log.places import EARLIEST, LATEST
from tailrace.log.reading import read_range
from tailrace.log.stream import Stream
from tailrace.model import DATA, Ending, EndingKind, Offset

# Bytes of data read at once while following: a few hundred tokens, and little beside a window.
_READ: Final = 64 * 1024

Kind = Literal["completed", "failed", "cancelled"]


class Event(NamedTuple):
    """One event of a stream, as ``follow`` gives it."""

    offset: str
    """The place just after it: what to give ``follow`` to read on from here."""
    time: int
    """Milliseconds since the epoch."""
    type: str
    data: bytes

    @property
    def text(self) -> str:
        """The data as text; what is no UTF-8 reads as U+FFFD."""
        return self.data.decode("utf-8", "replace")

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The data of a JSON stream, read."""
        return json.loads(self.data)


class NotWhole(TailraceError):
    """The stream that was followed ended, but not ``completed``; ``ending`` says how."""

    code = "not_whole"

    def __init__(self, ending: Ending) -> None:
        super().__init__(f"The stream ended {ending.kind.value}. {ending.reason}".strip())
        self.ending = ending


class Handle:
    """One making of one stream. Made by ``Streams``; of no use once that is closed."""

    def __init__(
        self, stream: Stream, catalogue: Catalogue, url: str, departure: asyncio.Event
    ) -> None:
        self._stream: Final = stream
        self._catalogue = catalogue
        self._departure = departure
        self.name: Final = stream.name
        self.url: Final = url
        """Its path, if ``Streams`` is mounted where it was told to be."""
        self.content_type: Final = stream.content_type

    @property
    def offset(self) -> str:
        """The place after the last event that readers may see."""
        return str(self._stream.info.tail)

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it has not."""
        return self._stream.ending

    async def append(self, data: object, type: str = DATA) -> str:  # noqa: A002 - as in Event
        """Add one event; returns its offset once it is durable and readers see it.

        Data is a str or bytes; in an ``application/json`` stream, anything that JSON can say.
        Raises StreamIsClosed, StreamHasSource, NotFound or StoreError, and TypeError or
        ValueError for what cannot be appended.
        """
        record = (check_type(type), encode(self.content_type, data))
        self._catalogue.touch(self._stream)
        return str((await self._stream.append([record])).tail)

    async def close(self, kind: Kind = "completed", reason: str = "") -> None:
        """End the stream so; returns once that is durable. Its source, if any, is stopped.

        ``reason`` is one sentence that every reader may see. Nothing where it is closed already.
        Raises NotFound or StoreError.
        """
        ending = (EndingKind(kind), reason)
        if self._stream.state is State.FED:
            self._catalogue.stop(self._stream, *ending)
            await self._stream.committed()
            return
        await self._stream.append((), close=True, ending=ending)

    async def follow(self, offset: str = EARLIEST) -> AsyncIterator[Event]:
        """Events after ``offset`` ("-1": all, "now": those to come), then live, until the end.

        Raises NotWhole where the stream ends in any other way than ``completed``, ShuttingDown
        where the application ends first, OffsetGone or MalformedOffset for an offset that is not
        one of this stream's, or StoreError.
        """
        place = self._place(offset)
        while True:
            async for event in self._from(place):
                yield event
                place = Offset.parse(event.offset).seq  # type: ignore[union-attr]
            ending = self._stream.ending
            if ending is not None and place >= self._stream.visible:
                if not ending.whole:
                    raise NotWhole(ending)
                return
            await self._news(place)

    async def read(self, offset: str = EARLIEST) -> list[Event]:
        """Events after ``offset`` that are there now. Raises as ``follow`` does at its start."""
        return [event async for event in self._from(self._place(offset))]

    def _place(self, token: str) -> int:
        offset = token if token in (EARLIEST, LATEST) else Offset.parse(token)
        if offset is None:
            raise MalformedOffset("An offset is -1, now, or one that Tailrace gave, unchanged.")
        self._catalogue.touch(self._stream)
        return self._catalogue.place(self._stream, offset)

    async def _from(self, place: int) -> AsyncIterator[Event]:
        stream = self._stream
        while True:
            if place < stream.trimmed:
                raise OffsetGone("What follows this offset is no longer kept.")
            events = await read_range(stream, place, _READ)
            if not events:
                return
            for seq, time, kind, data in events:
                yield Event(str(stream.offset(seq)), time, kind, data)
            place = events[-1].seq

    async def _news(self, place: int) -> None:
        news = asyncio.ensure_future(self._stream.changed(place))
        leaving = asyncio.ensure_future(self._departure.wait())
        try:
            await asyncio.wait((news, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            leaving.cancel()
        if self._departure.is_set() and not news.done():
            raise ShuttingDown("The application is ending; follow on from the last offset later.")
