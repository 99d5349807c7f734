"""The clocks of one connection.

clock       runs                                     when it runs out
----------  ---------------------------------------  -----------------------------------------
deadline    while a request's head is being read     the connection is aborted
            after the close, until all has left      the connection is aborted
idle        between two requests                     the connection is closed
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tailrace.http1.socket_options import has_unread
from tailrace.patience import Alarm

# Seconds to read and drop what a refused client still sends. nginx waits 5 s between packets;
# we wait 2 s in all, since the answer has usually arrived within a round trip.
LINGER: Final = 2.0
# Seconds for the last 64 KiB to reach a slow reader after we closed: that is 2 KiB/s.
FLUSH_PATIENCE: Final = 30.0
# Seconds for what the kernel has when a timer fires (late: the loop was busy) to be read.
UNREAD_PATIENCE: Final = 1.0


class ConnectionTimers:
    """Holds the two clocks; at most one of each runs."""

    __slots__ = ("_deadline", "_idle", "_loop", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._deadline: asyncio.TimerHandle | Alarm | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """Whether any of them runs."""
        return self._deadline is not None or self._idle is not None

    def expire_after(self, seconds: float) -> None:
        """Abort the connection in so many seconds, instead of at an earlier deadline."""
        self.cancel_deadline()
        self._deadline = Alarm(self._loop, self._loop.time() + seconds, self._transport.abort)

    def expect_head(self, seconds: float) -> None:
        """Abort the connection unless a request's head has come within so many seconds."""
        self._deadline = self._loop.call_later(seconds, self._end_reading)

    def expect_request(self, seconds: float, close: Callable[[], None]) -> None:
        """Call ``close`` unless a request has begun within so many seconds."""
        self._idle = self._loop.call_later(seconds, self._end_idling, close)

    def cancel_deadline(self) -> None:
        """Stop the deadline, if it runs."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def cancel_idle(self) -> None:
        """Stop the idle clock, if it runs."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _end_reading(self) -> None:
        self._deadline = self._unless_unread(self._transport.abort)

    def _end_idling(self, close: Callable[[], None]) -> None:
        self._idle = self._unless_unread(close)

    def _unless_unread(self, end: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(UNREAD_PATIENCE if has_unread(self._transport) else 0, end)
