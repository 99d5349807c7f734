"""Long work on the event loop: a slice of it in each turn of the loop, whoever it is for."""

from __future__ import annotations

import asyncio
import time
from typing import Final, TypeVar

from tailrace.wire.slices import Work

T = TypeVar("T")

# As long as a turn of the doorbell: what a reader of another stream does not notice.
_TURN: Final = 0.001


class Turns:
    """Runs work in turns of about a millisecond. Of all of it, one turn for each of the loop's.

    Threads would not do: they share the interpreter's lock, for which the loop would wait five
    milliseconds each time that it wakes.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def run(self, work: Work[T]) -> T:
        """Return the result of ``work``, or raise its error. Short work is done at once."""
        while True:
            async with self._turn:  # first come, first served
                until = time.perf_counter() + _TURN
                try:
                    while time.perf_counter() < until:
                        next(work)
                except StopIteration as done:
                    result: T = done.value
                    return result
                await asyncio.sleep(0)
