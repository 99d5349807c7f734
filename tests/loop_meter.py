"""How long an event loop is busy at a time: the longest turn, in CPU time of its thread.

CPU time, so that what else the machine does is not counted. What the loop waits for while others
hold the interpreter is not counted either.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopMeter(selectors.DefaultSelector):
    """A loop's selector that notes what the loop does between two waits."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        """Seconds."""
        self._since = time.thread_time()

    def reset(self) -> None:
        """Begin anew, with the next turn."""
        self.longest = 0.0
        self._since = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.longest = max(self.longest, time.thread_time() - self._since)
        ready = super().select(timeout)
        self._since = time.thread_time()
        return ready


def metered(meter: LoopMeter, work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` on a loop of its own that ``meter`` watches.

    The garbage collector is off, as a server of ours keeps it from what was made at its start.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(meter)) as runner:
            return runner.run(work)
    finally:
        if was_on:
            gc.enable()
