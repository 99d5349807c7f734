"""Clocks that read first and judge then, where this process stood still while time ran.

A process that was stopped (SIGSTOP, a suspended container) or whose event loop was blocked finds
its timers due and its sockets full. uvloop runs timers before it looks at sockets, and a timeout
of asyncio's wins over a result of the same turn: a clock would run out although what it waited
for has come. So no clock is believed at its first ring:

    it rings           what is done
    -----------------  ---------------------------------------------------------------------
    in time            the loop reads its sockets once, then the clock is believed
    late, by a gap     the loop gets as long as it was late to read and to answer, a second at
                       most, then the clock is believed
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final

# A loop that is later than this stood still: a busy one is late by some milliseconds.
GAP: Final = 0.1
# What waited is read within milliseconds; a TLS handshake or a request takes a few round trips.
GRACE: Final = 1.0
# A loop that is always late must not keep its clocks from ringing.
_ROUNDS: Final = 3


def grace(late: float) -> float:
    """Seconds to wait before a clock that rang ``late`` seconds after it was due is believed."""
    return 0.0 if late < GAP else min(late, GRACE)


class Alarm:
    """One call of ``callback`` once ``due`` (loop time) is over; see the table above."""

    __slots__ = ("_callback", "_due", "_handle", "_loop", "_rounds")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, due: float, callback: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._due = due
        self._callback = callback
        self._rounds = _ROUNDS
        self._handle = loop.call_at(due, self._ring)

    def cancel(self) -> None:
        """It is not to ring any more. May be called any number of times."""
        self._handle.cancel()

    def _ring(self) -> None:
        now = self._loop.time()
        more = grace(now - self._due)
        if self._rounds == _ROUNDS or (more and self._rounds):
            self._rounds -= 1
            self._due = now + more
            self._handle = self._loop.call_at(self._due, self._ring)
        else:
            self._callback()


@asynccontextmanager
async def timeout_at(when: float | None) -> AsyncIterator[None]:
    """``asyncio.timeout_at``, by an ``Alarm``. None: without end. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        alarm = None
        if when is not None:
            alarm = Alarm(loop, when, lambda: limit.reschedule(loop.time()))
        try:
            yield
        finally:
            if alarm is not None:
                alarm.cancel()


def timeout(seconds: float) -> AbstractAsyncContextManager[None]:
    """``asyncio.timeout``, by an ``Alarm``. Raises TimeoutError."""
    return timeout_at(asyncio.get_running_loop().time() + seconds)


async def wait_for_done(future: asyncio.Future[Any], seconds: float) -> None:
    """Wait until ``future`` is done, at most ``seconds``, by an ``Alarm``. Its outcome stays in it.

    For coroutines that mypyc compiles, in which ``async with`` must not wait (docs/adr/0012).
    """
    with suppress(TimeoutError):
        async with timeout(seconds):
            await asyncio.wait((future,))
