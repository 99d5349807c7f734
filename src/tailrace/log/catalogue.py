"""The names: which streams there are, making them, finding them, and letting them go.

A stream is in memory while something in this process needs it (a source, a cursor, an append
under way) and in the store always, so the catalogue's memory grows with what is going on and
not with what was kept.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from tailrace.contracts import Append, Create, Delete, Listing, Sink, Source, View
from tailrace.errors import NotFound, OffsetGone, StoreError, StreamExists
from tailrace.log.cursor import Cursor
from tailrace.log.lifecycle import Action, after
from tailrace.log.stream import Machinery, Stream, refuse_if_unwell
from tailrace.model import (
    RANDOM_BITS,
    Ending,
    EndingKind,
    Offset,
    StreamInfo,
    mint_generation,
)

logger = logging.getLogger(__name__)

# Added to the last durable number of a stream whose source died with its process. Events after
# that one may have been shown without having become durable; no number of theirs is used again,
# and they are fewer than this, because uncommitted events are bounded by memory.
SKIPPED: Final = 2**32

EARLIEST: Final = "-1"
LATEST: Final = "now"


def _random_bits() -> int:
    return random.SystemRandom().getrandbits(RANDOM_BITS)


class Catalogue:
    """All streams of one store."""

    def __init__(
        self,
        shared: Machinery,
        *,
        patience: float,
        random_bits: Callable[[], int] = _random_bits,
    ) -> None:
        self._shared = shared
        self._patience = patience
        self._random_bits = random_bits
        self._latest_generation = ""
        # Weak: a stream is kept by what needs it (its source, a cursor, an append under way).
        self._live: WeakValueDictionary[str, Stream] = WeakValueDictionary()

    async def open(self) -> None:
        """Open the store; end the streams whose sources died with their process.

        Raises StoreLocked, StoreTooNew or StoreCorrupt.
        """
        store = self._shared.store
        number = 0
        for info in await store.open():
            number = store.write(Append(info.generation, (), self._interrupted(info)))
        newest = (await store.list("", limit=1)).streams
        self._latest_generation = newest[0].generation if newest else ""
        if number:
            await store.committed(number)

    def _interrupted(self, info: StreamInfo) -> Ending:
        return Ending(
            EndingKind.INTERRUPTED,
            "The server stopped while the answer was running.",
            info.last_seq + SKIPPED,
            self._shared.wall(),
        )

    # --- making and finding ---------------------------------------------------------------

    def mint(self) -> str:
        """A generation later than all before it. Its random part cannot be guessed."""
        self._latest_generation = mint_generation(
            self._shared.wall(), self._latest_generation, self._random_bits()
        )
        return self._latest_generation

    def create_secret(self, prefix: str, content_type: str, source: str) -> Stream:
        """Make a stream whose name, ``prefix`` and a generation, is known to whom it is told."""
        generation = self.mint()
        return self._create(prefix + generation, generation, content_type, source)

    async def create(self, name: str, content_type: str, source: str = "") -> Stream:
        """Make a stream of that name. Raises StreamExists where there is one."""
        if await self._find(name) is not None:
            raise StreamExists("There is a stream of this name already; choose another name.")
        return self._create(name, self.mint(), content_type, source)

    def _create(self, name: str, generation: str, content_type: str, source: str) -> Stream:
        info = StreamInfo(name, generation, content_type, self._shared.wall(), source)
        return self._admit(info, self._shared.store.write(Create(info)))

    async def get(self, name: str) -> Stream:
        """The stream of that name. Raises NotFound."""
        stream = await self._find(name)
        if stream is None:
            raise NotFound("There is no stream of this name; it may have been deleted.")
        return stream

    async def _find(self, name: str) -> Stream | None:
        live = self._live.get(name)
        if live is not None:
            return live
        info = await self._shared.store.find(name)
        # Another request may have brought it into memory meanwhile.
        live = self._live.get(name)
        if live is not None or info is None:
            return live
        return self._admit(info)

    def _admit(self, info: StreamInfo, number: int = 0) -> Stream:
        stream = Stream(info, self._shared, number)
        self._live[stream.name] = stream
        return stream

    def refuse_if_unwell(self) -> None:
        """Raises StoreFull, StoreUnavailable or StoreOverloaded where a new stream would wait."""
        refuse_if_unwell(self._shared.store)

    async def page(self, prefix: str, *, before: str = "", limit: int = 100) -> Listing:
        """One page of the streams whose names begin with ``prefix``, newest first."""
        return await self._shared.store.list(prefix, before=before, limit=limit)

    def live(self) -> list[Stream]:
        """The streams that are in memory now."""
        return list(self._live.values())

    # --- reading --------------------------------------------------------------------------

    @staticmethod
    def place(stream: Stream, token: str | Offset) -> int:
        """The number that an offset means in ``stream``.

        Raises OffsetGone for an offset of another making of the name. A number past the end of
        what can be seen reads as that end.
        """
        if token == EARLIEST:
            return 0
        if token == LATEST:
            return stream.visible
        assert isinstance(token, Offset)  # noqa: S101 - the two words are all the strings
        if token.generation != stream.generation:
            raise OffsetGone(
                "This offset belongs to an earlier stream of this name; start again from -1."
            )
        if stream.ending is None:
            return min(token.seq, stream.visible)
        return token.seq

    def follow(self, stream: Stream, view: View, sink: Sink, seq: int) -> Cursor:
        """A new cursor on ``stream``, placed after event ``seq``, not pumped yet.

        ``stream.attach(cursor)`` sets it going.
        """
        shared = self._shared
        return Cursor(
            stream,
            view,
            sink,
            seq,
            clock=shared.clock,
            heartbeat=shared.heartbeats.period,
            patience=self._patience,
            on_done=lambda cursor: cursor.stream.detach(cursor),
        )

    # --- letting go -----------------------------------------------------------------------

    def stop(self, stream: Stream, kind: EndingKind, reason: str) -> None:
        """Have the stream's source stop now and end it so; nothing where there is no source."""
        source: Source | None = stream.source
        if source is not None:
            source.stop(kind, reason)

    async def delete(self, name: str) -> None:
        """Stop its source, tell its readers, forget it, erase it. Raises NotFound, StoreError."""
        stream = await self.get(name)
        self.stop(stream, EndingKind.CANCELLED, "The stream was deleted.")
        after(stream.state, Action.DELETE)
        await self._shared.store.committed(self._discard(stream))

    def _discard(self, stream: Stream) -> int:
        number = self._shared.store.write(Delete(stream.generation))
        stream.expire()
        if self._live.get(stream.name) is stream:
            del self._live[stream.name]
        self._shared.history.forget(stream.generation)
        return number

    async def retire(self, prefix: str, *, age: float, size: int) -> int:
        """Delete the longest closed streams under ``prefix``: those closed more than ``age``
        seconds ago, and as many more as it takes for all to fit into ``size`` bytes.

        Returns how many went. Streams that are not closed stay, whatever their size.
        """
        retired = 0
        horizon = self._shared.wall() - int(age * 1000)
        while True:
            page = await self._shared.store.list(prefix, limit=100, oldest_closed=True)
            excess = page.total_size - size
            victims = []
            for info in page.streams:
                if excess <= 0 and info.ending is not None and info.ending.time >= horizon:
                    break
                victims.append(info)
                excess -= info.size
            numbers = [self._discard(self._live.get(i.name) or self._admit(i)) for i in victims]
            if numbers:
                await self._shared.store.committed(numbers[-1])
            retired += len(victims)
            if not victims or len(victims) < len(page.streams):
                return retired

    async def keep_retiring(self, prefix: str, *, age: float, size: int, interval: float) -> None:
        """``retire`` every ``interval`` seconds, until cancelled."""
        while True:
            try:
                await self.retire(prefix, age=age, size=size)
            except StoreError as error:
                logger.warning("retention has to wait: %s", error)
            await asyncio.sleep(interval)

    def end_sources(self, kind: EndingKind, reason: str) -> None:
        """End every stream that a source fills."""
        for stream in self.live():
            self.stop(stream, kind, reason)

    def send_off(self, retry: Callable[[], int]) -> None:
        """Let every reader go; ``retry`` gives each the milliseconds after which to come back."""
        for stream in self.live():
            for cursor in list(stream.cursors):
                cursor.leave(retry())

    async def close(self) -> None:
        """Flush and close the store."""
        self._shared.heartbeats.close()
        await self._shared.history.close()
        await self._shared.store.close()
