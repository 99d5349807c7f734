"""Several streams in one body: many cursors, one sink.

Each cursor is given a lane, which is a sink to it. Lanes hold nothing: what cannot be written now
is not taken from its cursor, which waits at its place like any whose sink is full. So a client
that does not read costs a place for each of its streams.

    what happened                        who may write
    -----------------------------------  ------------------------------------------------------
    the client keeps up                  all, as their streams have something
    the sink below is full               none; when it has room again, each a slice in its turn
    a slice ended within an event        its lane alone, until that event is whole: what others
                                         wrote before would stand in its middle
    that event became whole              the others, each in its turn, and then that lane

The bodies are event streams, in which an event, and nothing else, ends with a blank line.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from tailrace.contracts import Sink, SinkOwner
from tailrace.log.heartbeats import Heartbeats
from tailrace.wire.sse import encode_comment, encode_retry

_HEARTBEAT: Final = encode_comment("ping") + b"\n"
_BLANK: Final = b"\n\n"


class Voice(SinkOwner, Protocol):
    """Who writes into a lane: a cursor, or what else has events to tell."""

    def begin(self) -> None:
        """Write from now on; for the first time when the loop has turned."""
        ...

    def hold(self) -> None:
        """Write nothing until ``writable()``."""
        ...


class Lane:
    """One voice's way into the body: its sink."""

    __slots__ = ("_merge", "voice")

    def __init__(self, merge: Merge) -> None:
        self._merge = merge
        self.voice: Voice | None = None

    def write(self, data: bytes) -> bool:
        """As in the contract."""
        return self._merge.take(self, data)

    def finish(self, whole: bool) -> None:
        """This voice has no more to say; where it is not whole, the body is cut, for its client
        to come back with its places."""
        self._merge.close(self, whole=whole)


class Merge:
    """One body. ``begin`` sets it going; it ends when all voices have, or with its client."""

    def __init__(self, below: Sink, merges: Merges) -> None:
        self._below = below
        self._merges = merges
        self._lanes: deque[Lane] = deque()
        """In the order of their turns."""
        self._within: Lane | None = None
        """Whose event is not whole yet."""
        self._tail = b""
        self._full_since: float | None = None
        self._resuming = False
        self._done = False
        self._written_at = merges.clock()

    def add(self, join: Callable[[Lane], Voice]) -> None:
        """Another voice, made for its lane. Before ``begin``."""
        lane = Lane(self)
        lane.voice = join(lane)
        self._lanes.append(lane)

    def begin(self) -> None:
        """Let all write, unless the client has left already."""
        if self._done:
            return
        self._merges.add(self)
        if not self._lanes:
            self._finish(whole=True)
        for lane in tuple(self._lanes):
            if lane.voice is not None:
                lane.voice.begin()

    # --- what lanes do --------------------------------------------------------------------

    def take(self, lane: Lane, data: bytes) -> bool:
        """Write ``data`` of ``lane``; False: it is to wait."""
        if self._within not in (None, lane):  # rather cut than garbled
            self._finish(whole=False)
            return False
        others_wait = self._within is lane
        self._tail = (self._tail + data[-2:])[-2:]
        self._within = None if self._tail == _BLANK else lane
        if not self._write(data):
            self._hold_all_but(lane)
            return False
        if self._within is not None:
            if not others_wait:
                self._hold_all_but(lane)
            return True
        if others_wait and not self._resuming:
            self._lanes.remove(lane)
            self._lanes.append(lane)
            asyncio.get_running_loop().call_soon(self._resume)
            return False
        return True

    def close(self, lane: Lane, *, whole: bool) -> None:
        """``lane`` has ended."""
        lane.voice = None
        if self._done:
            return
        self._lanes.remove(lane)
        if not whole or self._within is lane:
            self._finish(whole=False)
        elif not self._lanes:
            self._finish(whole=True)

    def _write(self, data: bytes) -> bool:
        self._written_at = self._merges.clock()
        if self._below.write(data):
            return True
        if self._full_since is None:
            self._full_since = self._written_at
        return False

    def _hold_all_but(self, writer: Lane | None) -> None:
        for lane in self._lanes:
            if lane is not writer and lane.voice is not None:
                lane.voice.hold()

    def _resume(self) -> None:
        """Let them write again: who is within an event, and then each in its turn."""
        if self._resuming or self._waits or self._done:
            return
        self._resuming = True
        try:
            self._let_write()
        finally:
            self._resuming = False

    def _let_write(self) -> None:
        within = self._within
        if within is not None and within.voice is not None:
            within.voice.writable()
        for _ in range(len(self._lanes)):
            if self._waits or self._within is not None or not self._lanes:
                return  # the others are held still, or again
            lane = self._lanes[0]
            self._lanes.rotate(-1)
            if lane.voice is not None:
                lane.voice.writable()

    @property
    def _waits(self) -> bool:
        return self._full_since is not None

    # --- what the sink below, and the house, do ------------------------------------------

    def writable(self) -> None:
        """As in the contract."""
        self._full_since = None
        self._resume()

    def lost(self) -> None:
        """As in the contract."""
        if self._done:
            return
        self._done = True
        self._merges.discard(self)
        lanes, self._within = tuple(self._lanes), None
        self._lanes.clear()
        for lane in lanes:
            voice, lane.voice = lane.voice, None
            if voice is not None:
                voice.lost()

    def _finish(self, *, whole: bool) -> None:
        if self._done:
            return
        self.lost()
        self._below.finish(whole)

    def retire(self) -> None:
        """End the body, for its client to come back."""
        self._finish(whole=self._within is None)

    def leave(self, retry: int) -> None:
        """The server goes away: say when to come back, where there is room."""
        if not self._waits and self._within is None:
            self._write(encode_retry(retry))
        self._finish(whole=False)

    def look(self, now: float) -> float | None:
        """What time alone makes due: a heartbeat, or the end of a stuck client's time."""
        if self._done:
            return None
        period = self._merges.heartbeats.period
        if self._full_since is not None:
            if now >= self._full_since + self._merges.patience:
                self._finish(whole=False)
                return None
            return now + period
        if now < self._written_at + period:
            return self._written_at + period
        if self._within is None and not self._write(_HEARTBEAT):
            self._hold_all_but(None)
        return now + period


class Merges:
    """The bodies of one catalogue that are under way."""

    def __init__(self, heartbeats: Heartbeats, clock: Callable[[], float], patience: float) -> None:
        """``patience``: seconds after which a client that takes nothing is let go."""
        self.heartbeats: Final = heartbeats
        self.clock: Final = clock
        self.patience: Final = patience
        self._running: set[Merge] = set()

    def make(self, below: Sink) -> Merge:
        """A new one, which has no voices yet."""
        return Merge(below, self)

    def add(self, merge: Merge) -> None:
        """It begins."""
        self._running.add(merge)
        self.heartbeats.add(merge)

    def discard(self, merge: Merge) -> None:
        """It has ended."""
        self._running.discard(merge)
        self.heartbeats.discard(merge)

    def send_off(self, retry: Callable[[], int]) -> None:
        """Let all clients go; ``retry`` gives each the milliseconds after which to come back."""
        for merge in tuple(self._running):
            merge.leave(retry())
