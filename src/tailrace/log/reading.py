"""All that a stream has until now, read a piece at a time, in short turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from tailrace.log.history import Fetch
from tailrace.log.stream import Stream
from tailrace.model import DATA, Event

# Bytes of events that are read at a time: one read of the store.
_BATCH: Final = 256 * 1024
# Events read for one answer at most: a list of as many is made in about a millisecond.
_COUNT: Final = 16 * 1024
# Seconds after which others have their turn: what is done with an event is counted.
_TURN: Final = 0.001


async def data_of(stream: Stream) -> AsyncIterator[bytes]:
    """The data of its events from the first on, remarks of ours left out.

    Raises NotFound or StoreUnavailable.
    """
    async for event in shown_of(stream):
        yield event.data


async def shown_of(stream: Stream) -> AsyncIterator[Event]:
    """Those events themselves."""
    clock = asyncio.get_running_loop().time
    place, since = 0, clock()
    while events := await read_range(stream, place, _BATCH):
        for event in events:
            if event.type == DATA:
                yield event
            if clock() >= since + _TURN:
                await asyncio.sleep(0)
                since = clock()
        place = events[-1].seq


async def read_range(stream: Stream, place: int, limit: int) -> list[Event]:
    """Return visible events after ``place``: at least one if there is any, then as many as fit
    into ``limit`` bytes of data. Raises NotFound or StoreUnavailable.
    """
    found: list[Event] = []
    while limit > 0 and len(found) < _COUNT:
        events = stream.read(place, limit, _COUNT)
        if events is None:
            fetch = Fetch()
            stream.fetch(place, fetch)
            await fetch.done
            continue
        if not events or (found and len(events[0].data) > limit):
            break
        found += events
        place = events[-1].seq
        limit -= sum([len(event.data) for event in events])
    return found
