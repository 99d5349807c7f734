"""A stream that the application's own code fills, in its hands.

    async with streams.live("chat/7") as out:
        async for delta in model:
            out.write(delta)

``tailrace.log.live_source`` says how such a stream ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tailrace.embed.handle import Handle, Kind
from tailrace.embed.records import check_type, encode
from tailrace.log.catalogue import Catalogue
from tailrace.log.live_source import LiveSource
from tailrace.log.stream import Stream
from tailrace.model import DATA, EndingKind


class Live:
    """The writing end of one stream, an async context manager; used once, in one task."""

    def __init__(
        self, make: Callable[[], Awaitable[tuple[Stream, Handle]]], catalogue: Catalogue
    ) -> None:
        self._make = make
        self._catalogue = catalogue
        self._source: LiveSource | None = None
        self.handle: Handle
        """The stream, for reading; there once the block is entered."""

    async def __aenter__(self) -> Self:
        """Make the stream, unless ``open`` did. Raises what ``open`` raises."""
        if self._source is None:
            await self.open()
        await self._opened.__aenter__()
        return self

    async def open(self) -> None:
        """Make the stream. Raises StreamExists, MalformedName or StoreError."""
        stream, self.handle = await self._make()
        self._source = LiveSource(stream, self._catalogue.touch)

    def write(self, data: object, type: str = DATA) -> None:  # noqa: A002 - as in Event
        """Add one event: shown at once, durable within one group commit.

        Data is as for ``Handle.append``; an empty str or bytes adds nothing where it is no JSON.
        Raises TypeError or ValueError for what cannot be written, StreamIsClosed after a stop or
        an end, and StoreOverloaded where the store is a MiB behind and nobody called ``drain()``.
        """
        record = (check_type(type), encode(self.handle.content_type, data))
        if record[1]:
            self._opened.feed([record])

    async def drain(self) -> None:
        """Wait while the store has as much to write as it may. Raises StoreError if it fails."""
        await self._opened.drain()

    def end(self, kind: Kind = "completed", reason: str = "") -> None:
        """End the stream now; ``reason`` is one sentence that every reader may see."""
        self._opened.end(EndingKind(kind), reason)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """End the stream as the way out of the block says. Raises StoreError."""
        return await self._opened.__aexit__(kind, error, trace)

    @property
    def _opened(self) -> LiveSource:
        if self._source is None:
            raise RuntimeError("The stream is there once the block is entered.")
        return self._source
