"""The doorbell: "there may be something new". It carries no data, and rings coalesce.

Ringing marks a stream ready and returns at once, so that a source never runs a reader's code.
One drain per turn of the event loop pumps the cursors of ready streams by plain calls, streams
in rotation, for at most SLICE seconds; what is left waits for the next turn. So a stream with
five thousand viewers delays another stream's event by one slice, not by five thousand writes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

# With what follows it about a millisecond: uvloop keeps writes until the drain is over, and the
# system calls take near three times as long as the pumps that asked for them. That is short beside
# the 20 ms between two tokens of a fast model, which is what another stream's viewers would notice,
# and long beside a turn of the loop, which each slice costs.
SLICE: Final = 0.0003
# Pumps between two looks at the clock, so that looking is a small part of the cost.
_BURST: Final = 16


class Ready(Protocol):
    """What a doorbell rings for: a stream."""

    def pump(self, count: int) -> bool:
        """Pump up to ``count`` cursors; whether some are left."""
        ...


class Doorbell:
    """Collects rings and drains them on the event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] | None = None
    ) -> None:
        self._loop = loop
        self._clock = clock or loop.time
        self._ready: deque[Ready] = deque()
        self._marked: set[Ready] = set()
        self._scheduled = False

    def ring(self, stream: Ready) -> None:
        """Have ``stream.pump`` called soon. Any number of rings until then count as one."""
        if stream not in self._marked:
            self._marked.add(stream)
            self._ready.append(stream)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        ready, marked = self._ready, self._marked
        deadline = 0.0
        while ready:
            stream = ready.popleft()
            marked.discard(stream)
            if stream.pump(_BURST) and stream not in marked:
                marked.add(stream)
                ready.append(stream)
            if not ready:
                return
            now = self._clock()
            if not deadline:  # what one stream takes need not be timed
                deadline = now + SLICE
            elif now >= deadline:
                break
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)
