"""What the server does, about once a second, for all pages that show it.

It is looked at while somebody follows it, once for all of them, and each gets the same bytes. A
follower is a place like any reader: one that takes nothing for a while gets the latest next.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable
from heapq import nlargest
from operator import attrgetter
from typing import Any, Final

from tailrace.console.process import Process, memory
from tailrace.contracts import Listing
from tailrace.errors import StoreError
from tailrace.log.catalogue import Catalogue
from tailrace.log.cursor import SLICE
from tailrace.log.merging import Lane
from tailrace.log.stream import Stream
from tailrace.model import StreamInfo
from tailrace.web.stream_description import described_ending, noted
from tailrace.wire.sse import encode_event

logger = logging.getLogger(__name__)

_INTERVAL: Final = 1.0
# Nothing is said where nothing changed, but for this long at most: figures of the server move.
_LONGEST: Final = 5.0
_NEWEST: Final = 50
# More are running than anybody looks at; the listing has them all.
_RUNNING: Final = 200
# Streams looked at in one turn of the loop: well below a millisecond.
_LOOKED_AT: Final = 500
# Of the time, at most, that listing the store may take: with a million streams it takes a while.
_SHARE: Final = 0.05

_generation = attrgetter("generation")


class Overview:
    """Of one catalogue. It costs nothing while nobody follows it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._process = Process()
        self._followers: set[Follower] = set()
        self._task: asyncio.Task[None] | None = None
        self._listing = Listing([], 0, 0)
        self._list_at = 0.0
        self._pause = _INTERVAL
        self._counts: dict[str, int] = {}
        """Of events, by generation, when they were last looked at."""
        self._counted_at = 0.0
        self._told: dict[str, Any] = {}
        self._told_at = 0.0
        self.event = b""
        """The latest."""
        self.number = 0
        """How many there were; a follower's place."""

    def voice(self, lane: Lane) -> Follower:
        """Another follower."""
        return Follower(self, lane)

    def join(self, follower: Follower) -> None:
        """Tell it from now on, and first what is known."""
        self._followers.add(follower)
        loop = asyncio.get_running_loop()
        if self._task is None:
            self._told = {}
            self._task = loop.create_task(self._keep_looking(), name="tailrace-overview")
        else:
            loop.call_soon(follower.tell)

    def leave(self, follower: Follower) -> None:
        """It follows no more."""
        self._followers.discard(follower)
        if not self._followers and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:
                logger.exception("the overview could not be taken")
            await asyncio.sleep(self._pause)

    async def _look(self) -> None:
        now = time.monotonic()
        if now >= self._list_at:
            try:
                self._listing = await self._catalogue.page("", limit=_NEWEST)
            except StoreError:
                logger.debug("the store cannot be listed", exc_info=True)
            took = time.monotonic() - now
            self._list_at = now + max(_INTERVAL / 2, took / _SHARE)
        looking = time.monotonic()
        state = {"streams": self._streams(await self._running()), "total": self._total()}
        now = time.monotonic()
        # With very many streams in memory one look takes long, in short turns.
        self._pause = max(_INTERVAL, (now - looking) / _SHARE)
        if state == self._told and now < self._told_at + _LONGEST:
            return
        self._told, self._told_at = state, now
        self._tell(state)

    def _tell(self, state: dict[str, Any]) -> None:
        server = {
            "cpu": round(self._process.cpu(), 4),
            "memory": memory(),
            "uptime": round(self._process.uptime, 3),
        }
        body = {"time": time.time_ns() // 1_000_000, "server": server, **state}
        # ASCII: a name or a note may hold half a character, which UTF-8 has no room for.
        data = json.dumps(body, separators=(",", ":")).encode("ascii")
        self.event = encode_event(data, event="overview")
        self.number += 1
        for follower in tuple(self._followers):
            follower.tell()

    def _total(self) -> dict[str, int | None]:
        return {"streams": self._listing.total_streams, "bytes": self._listing.total_size}

    async def _running(self) -> list[Stream]:
        """Find the newest streams that a source fills or somebody reads, in short turns."""
        newest: list[Stream] = []
        references = self._catalogue.in_memory.valuerefs()
        for start in range(0, len(references), _LOOKED_AT):
            streams = (reference() for reference in references[start : start + _LOOKED_AT])
            running = [stream for stream in streams if stream is not None and _runs(stream)]
            newest = nlargest(_RUNNING, [*newest, *running], key=_generation)
            await asyncio.sleep(0)
        return newest

    def _streams(self, running: list[Stream]) -> list[dict[str, Any]]:
        """Those that run and the newest, each once, newest first."""
        live = {stream.generation: stream for stream in running}
        shown = {stream.generation: stream.info for stream in running}
        for info in self._listing.streams:
            stream = self._catalogue.in_memory.get(info.name)
            if stream is not None and stream.generation == info.generation:
                live[info.generation] = stream
                info = stream.info  # noqa: PLW2901 - the same, as it stands
            shown.setdefault(info.generation, info)
        rates = self._rates(shown.values())
        return [
            _described(info, live.get(info.generation), rates[info.generation])
            for info in sorted(shown.values(), key=_generation, reverse=True)
        ]

    def _rates(self, infos: Iterable[StreamInfo]) -> dict[str, float]:
        """Events a second since they were last looked at."""
        before, at = self._counts, self._counted_at
        self._counts = {info.generation: info.last_seq for info in infos}
        self._counted_at = time.time()
        elapsed = self._counted_at - at
        if not at or not 0 < elapsed < _LONGEST:  # nobody looked for a while
            return dict.fromkeys(self._counts, 0.0)
        rates = {}
        for info in infos:
            # One that was not there is as new as its events, or was merely not shown.
            first = 0 if info.created / 1000 >= at else info.last_seq
            grown = info.last_seq - before.get(info.generation, first)
            rates[info.generation] = round(max(0, grown) / elapsed, 2)
        return rates


class Follower:
    """One page's place in the overviews."""

    __slots__ = ("_at", "_data", "_held", "_lane", "_overview", "_place")

    def __init__(self, overview: Overview, lane: Lane) -> None:
        self._overview = overview
        self._lane = lane
        self._held = False
        self._place = 0
        self._data = b""
        self._at = 0
        """The bytes of ``_data`` that have gone."""

    def begin(self) -> None:
        """As in the contract of a voice, as are the next three."""
        self._overview.join(self)

    def hold(self) -> None:
        self._held = True

    def writable(self) -> None:
        self._held = False
        self.tell()

    def lost(self) -> None:
        self._held = True
        self._overview.leave(self)

    def tell(self) -> None:
        """Write what is new to it, as far as there is room."""
        while not self._held:
            if self._at >= len(self._data):
                if self._place == self._overview.number:
                    return
                self._place, self._data, self._at = self._overview.number, self._overview.event, 0
            piece = self._data[self._at : self._at + SLICE]
            self._at += len(piece)
            if not self._lane.write(piece):
                self._held = True


def _runs(stream: Stream) -> bool:
    return stream.source is not None or bool(stream.cursors)


def _described(info: StreamInfo, live: Stream | None, rate: float) -> dict[str, Any]:
    return {
        "name": info.name,
        "generation": info.generation,
        "source": info.source or None,
        "content_type": info.content_type,
        "created": info.created,
        "events": info.last_seq,
        "bytes": info.size,
        "viewers": 0 if live is None else len(live.cursors),
        "rate": rate,
        "ending": described_ending(info.ending),
        "note": None,
        **noted(info.note),
    }
