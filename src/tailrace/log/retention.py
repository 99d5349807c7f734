"""How long streams are kept: their own TTL or date of expiry, and what a prefix may amount to.

A stream's own limits are looked at whenever somebody asks for it, so it is never a moment too
old; a task finds those for which nobody asks. Somebody who reads keeps a stream with a TTL alive.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from tailrace.contracts import Renew
from tailrace.errors import StoreError
from tailrace.log.expiry import Deadlines
from tailrace.log.lifecycle import State
from tailrace.log.machinery import Machinery
from tailrace.log.stream import Stream
from tailrace.model import StreamInfo

logger = logging.getLogger(__name__)

# How late a stream may be found to have expired when nobody asks for it.
_EXPIRY_INTERVAL: Final = 1.0
# Streams looked at in one go: what one answer of the store holds.
_PAGE: Final = 100
# Later than any deadline: milliseconds in 48 bits, as generations have them.
_NEVER: Final = 1 << 48


class Bounds(NamedTuple):
    """How much of the closed streams below a prefix is kept."""

    age: float
    """Seconds since the ending of each."""
    size: int
    """Bytes of all together, running ones included."""


class Retention:
    """Finds what is to go, and has it discarded."""

    def __init__(
        self,
        shared: Machinery,
        bring: Callable[[StreamInfo], Stream],
        erase: Callable[[Sequence[Stream]], Awaitable[None]],
    ) -> None:
        """``bring`` gives the stream that the store described; ``erase`` deletes some, on a full
        disk, too, and returns when that is durable."""
        self._shared = shared
        self._bring = bring
        self._erase = erase
        self._deadlines = Deadlines(shared.wall())
        self._some = False
        """Whether there may be a stream with a deadline, to be looked for."""
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to look for streams that have expired. The store is open."""
        store = self._shared.store
        self._some = bool((await store.list("", limit=1, due=_NEVER)).streams)
        self._task = asyncio.get_running_loop().create_task(self._keep_expiring())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def expect(self, deadline: int | None) -> None:
        """A stream with this deadline is being made."""
        self._some |= deadline is not None

    def forget(self, generation: str) -> None:
        """The stream is gone."""
        self._deadlines.forget(generation)

    def touch(self, stream: Stream) -> None:
        """It is read or written: where it has a TTL, that begins anew."""
        deadline = self._deadlines.touch(stream.info, self._shared.wall())
        if deadline is not None and stream.state is not State.GONE:
            self._shared.store.write(Renew(stream.generation, deadline))
            stream.renewed(deadline)

    def is_over(self, stream: Stream) -> bool:
        """Whether its time is over. Somebody who reads it uses it, which is noted here."""
        deadline = self._deadlines.of(stream.info)
        if deadline is None or deadline > self._shared.wall():
            return False
        if stream.info.ttl and stream.watched:
            self.touch(stream)
            return False
        return True

    async def expire(self) -> int:
        """Delete the streams whose time is over; how many. Raises StoreError."""
        gone = 0
        while self._some:
            now = self._shared.wall()
            infos = (await self._shared.store.list("", limit=_PAGE, due=now)).streams
            over = []
            for info in infos:
                stream = self._bring(info)
                if self.is_over(stream):
                    over.append(stream)
                else:
                    self._tell(stream)
            if over:
                await self._erase(over)
                gone += len(over)
            if len(infos) < _PAGE:
                break
            await asyncio.sleep(0)
        return gone

    def _tell(self, stream: Stream) -> None:
        """Have the store know the deadline as it is known here, so that it asks no sooner."""
        deadline = self._deadlines.of(stream.info)
        if deadline is not None and stream.state is not State.GONE:
            self._shared.store.write(Renew(stream.generation, deadline))
            stream.renewed(deadline)
            self._deadlines.forget(stream.generation)

    async def _keep_expiring(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_INTERVAL)
            try:
                await self.expire()
            except StoreError as error:
                logger.warning("expired streams have to wait: %s", error)

    # --- the bounds of a prefix -------------------------------------------------------------

    async def retire(self, prefix: str, *, age: float, size: int) -> int:
        """Delete the longest closed streams under ``prefix``: those closed more than ``age``
        seconds ago, and as many more as it takes for all to fit into ``size`` bytes.

        Returns how many went. Streams that are not closed stay, whatever their size.
        """
        retired = 0
        horizon = self._shared.wall() - int(age * 1000)
        while True:
            page = await self._shared.store.list(prefix, limit=_PAGE, oldest_closed=True)
            excess = (page.total_size or 0) - size
            victims = []
            for info in page.streams:
                if excess <= 0 and info.ending is not None and info.ending.time >= horizon:
                    break
                victims.append(info)
                excess -= info.size
            if victims:
                await self._erase([self._bring(info) for info in victims])
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
