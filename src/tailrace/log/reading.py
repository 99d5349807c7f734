"""All that a stream has until now, read a piece at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from tailrace.log.stream import Stream
from tailrace.model import DATA, Event

# Bytes of events that are read at a time.
_BATCH: Final = 1 << 20


async def data_of(stream: Stream) -> AsyncIterator[bytes]:
    """The data of its events from the first on, remarks of ours left out.

    Raises NotFound or StoreUnavailable.
    """
    async for event in shown_of(stream):
        yield event.data


async def shown_of(stream: Stream) -> AsyncIterator[Event]:
    """Those events themselves."""
    place = 0
    while events := await stream.range(place, _BATCH):
        for event in events:
            if event.type == DATA:
                yield event
        place = events[-1].seq
