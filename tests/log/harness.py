"""A catalogue on a memory store, with clocks that tests turn and sinks that they fill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tailrace.contracts import SinkOwner, Store
from tailrace.log.catalogue import Catalogue
from tailrace.log.commits import Commits
from tailrace.log.cursor import Cursor
from tailrace.log.doorbell import Doorbell
from tailrace.log.encodings import Encodings
from tailrace.log.heartbeats import Heartbeats
from tailrace.log.history import History
from tailrace.log.machinery import Machinery
from tailrace.log.stream import Stream
from tailrace.model import DATA, EndingKind
from tailrace.stores.memory import MemoryStore
from tailrace.views import make_view


class Clock:
    """Seconds for cursors and milliseconds for events, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def seconds(self) -> float:
        return self.now

    def milliseconds(self) -> int:
        return int(self.now * 1000)


class Feeder:
    """A source that does what the test says."""

    kind = "feeder"

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        stream.source = self

    def feed(self, *data: bytes) -> None:
        self.stream.feed([(DATA, piece) for piece in data])

    def stop(self, kind: EndingKind, reason: str) -> None:
        if self.stream.source is self:
            self.stream.end(kind, reason)

    def opened(self) -> None:
        """Nothing follows from it here."""

    def unwatched(self) -> None:
        """It goes on."""


class Pipe:
    """A sink that takes ``room`` bytes, then says that it is full."""

    def __init__(self, room: float = float("inf")) -> None:
        self.room = room
        self.writes: list[bytes] = []
        self.whole: bool | None = None
        self.owner: SinkOwner | None = None

    @property
    def data(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: bytes) -> bool:
        assert self.whole is None, "written after the end"
        self.writes.append(data)
        self.room -= len(data)
        return self.room > 0

    def finish(self, whole: bool) -> None:
        assert self.whole is None, "ended twice"
        self.whole = whole

    def take(self, room: float) -> None:
        """Have room again."""
        self.room = room
        assert self.owner is not None
        self.owner.writable()


class House:
    """What a test works with."""

    def __init__(self, store: Store, *, window: int, heartbeat: float, patience: float) -> None:
        loop = asyncio.get_running_loop()
        self.clock = Clock()
        self.store = store
        self.machinery = Machinery(
            store=store,
            commits=Commits(store),
            bell=Doorbell(loop),
            history=History(store),
            encodings=Encodings(),
            heartbeats=Heartbeats(loop, heartbeat, self.clock.seconds),
            window=window,
            wall=self.clock.milliseconds,
            clock=self.clock.seconds,
        )
        self.catalogue = Catalogue(self.machinery, patience=patience)

    def fed(self) -> tuple[Stream, Feeder]:
        stream = self.catalogue.create_secret("chat/", "text/plain", "feeder")
        return stream, Feeder(stream)

    def follow(self, stream: Stream, pipe: Pipe, seq: int = 0, view: str = "text") -> Cursor:
        cursor = self.catalogue.follow(stream, make_view(view, stream.content_type), pipe, seq)
        pipe.owner = cursor
        stream.attach(cursor)
        return cursor


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Let the loop turn until ``condition`` holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0)


@asynccontextmanager
async def house(
    store: Store | None = None,
    *,
    window: int = 64 * 1024,
    heartbeat: float = 3600.0,
    patience: float = 600.0,
) -> AsyncIterator[House]:
    made = House(store or MemoryStore(), window=window, heartbeat=heartbeat, patience=patience)
    await made.catalogue.open()
    try:
        yield made
    finally:
        await made.catalogue.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))
