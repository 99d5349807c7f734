"""Reading behind the window: bounded reads from the store, shared between cursors.

A cursor has at most one read in flight, and it is no task of its own: cursors that want the
same place wait for the same read, and at most PARALLEL reads run, whatever the number of
cursors. A batch that was read stays for a while (up to LIMIT bytes in all), because the cursors
that wanted it take it slice by slice, and others come by the same place.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from typing import Final, Protocol

from tailrace.contracts import Store
from tailrace.errors import NotFound, StoreUnavailable, TailraceError
from tailrace.log.window import fitting
from tailrace.model import Event

# One read of the store: large enough to make the trip worth it, small enough to be forgotten.
BATCH: Final = 256 * 1024
# Batches kept, all streams together.
LIMIT: Final = 16 * 1024 * 1024
# As many as the SQLite store has reader threads; more would only wait there.
PARALLEL: Final = 4

logger = logging.getLogger(__name__)

_Place = tuple[str, int]


class WaitingReader(Protocol):
    """What waits for a read: a cursor."""

    def arrived(self) -> None:
        """The events after your place can be had now."""
        ...

    def unreadable(self, error: TailraceError) -> None:
        """They cannot."""
        ...


class History:
    """Bounded, shared reads of what is no longer in a window."""

    def __init__(self, store: Store, limit: int = LIMIT) -> None:
        self._store = store
        self._limit = limit
        self._size = 0
        self._batches: OrderedDict[_Place, list[Event]] = OrderedDict()
        self._by_stream: dict[str, list[int]] = {}
        self._waiting: dict[_Place, list[WaitingReader]] = {}
        self._queue: deque[_Place] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        # How many of them still look into the queue: a task is done a turn before it is discarded.
        self._looking = 0

    def read(self, generation: str, after: int, size: int, count: int) -> list[Event] | None:
        """Events after a place if a batch with them is at hand, else None."""
        # The newest first: one that begins at this very place reaches farthest. A batch holds
        # all there is after the place for which it was read, also where events were trimmed.
        for start in reversed(self._by_stream.get(generation, ())):
            batch = self._batches[generation, start]
            if start <= after < batch[-1].seq:
                return fitting(batch, max(0, after + 1 - batch[0].seq), size, count)
        return None

    def request(self, generation: str, after: int, reader: WaitingReader) -> None:
        """Have ``reader`` called once the events after that place have been read."""
        place = (generation, after)
        others = self._waiting.get(place)
        if others is not None:
            others.append(reader)
            return
        self._waiting[place] = [reader]
        self._queue.append(place)
        if self._looking < PARALLEL:
            self._looking += 1
            task = asyncio.get_running_loop().create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End the reads in flight. Their readers hear nothing more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self, generation: str) -> None:
        """Drop what is held of a stream."""
        for start in self._by_stream.pop(generation, ()):
            self._size -= _weight(self._batches.pop((generation, start)))

    async def _work(self) -> None:
        while self._queue:
            generation, after = self._queue.popleft()
            outcome = await self._fetch(generation, after)
            for reader in self._waiting.pop((generation, after)):
                if outcome is None:
                    reader.arrived()
                else:
                    reader.unreadable(outcome)
        self._looking -= 1

    async def _fetch(self, generation: str, after: int) -> TailraceError | None:
        try:
            events = await self._store.read(generation, after, BATCH)
        except TailraceError as error:
            return error
        except Exception:
            logger.exception("a read of the store failed")
            return StoreUnavailable("The store could not be read.")
        if not events:  # deleted since the reader asked
            return NotFound("There is no such stream any more.")
        self._keep(generation, after, events)
        return None

    def _keep(self, generation: str, after: int, events: list[Event]) -> None:
        place = (generation, after)
        if place in self._batches:
            return
        self._batches[place] = events
        self._by_stream.setdefault(generation, []).append(after)
        self._size += _weight(events)
        while self._size > self._limit and len(self._batches) > 1:
            (oldest, start), batch = self._batches.popitem(last=False)
            starts = self._by_stream[oldest]
            starts.remove(start)
            if not starts:
                del self._by_stream[oldest]
            self._size -= _weight(batch)


def _weight(events: list[Event]) -> int:
    return sum(len(event.data) for event in events)


class Fetch:
    """Waits for one read of the store, as a cursor does."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def arrived(self) -> None:
        """What was asked for can be read."""
        if not self.done.done():
            self.done.set_result(None)

    def unreadable(self, error: TailraceError) -> None:
        """It cannot."""
        if not self.done.done():
            self.done.set_exception(error)
