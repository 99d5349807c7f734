"""How many requests an upstream has at a time, and who waits for his turn."""

from __future__ import annotations

import asyncio
from collections import deque

from tailrace import patience
from tailrace.errors import UpstreamQueueTimeout


class Slots:
    """First come, first served. A slot is passed on at once, so that nobody overtakes who waits.

    ``limit`` 0: as many as like. ``max_queue`` is how many may wait.
    """

    def __init__(self, limit: int, max_queue: int) -> None:
        self.taken = 0
        self._limit = limit
        self._max_queue = max_queue
        self._waiting: deque[asyncio.Future[bool]] = deque()

    @property
    def free(self) -> bool:
        """Whether a slot can be had without waiting."""
        return not self._limit or self.taken < self._limit

    @property
    def full(self) -> bool:
        """Whether not even waiting is possible."""
        return not self.free and len(self._waiting) >= self._max_queue

    async def take(self, timeout: float, name: str) -> bool:  # noqa: ASYNC109 - the wait is ours
        """Have a slot, waiting up to ``timeout`` seconds; whoever gets True gives it back.

        False: ``dismiss`` was called meanwhile. Raises UpstreamQueueTimeout, which names the
        upstream. Not where it is ``full``. Cancelling leaves the queue.
        """
        if self.free:
            self.taken += 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with patience.timeout(timeout):
                return await turn
        except TimeoutError:
            self._leave(turn)
            raise UpstreamQueueTimeout(
                f"The upstream {name!r} answers {self._limit} requests, as many as it may; this "
                f"one waited {timeout:g} s for its turn."
            ) from None
        except BaseException:
            self._leave(turn)
            raise

    def give_back(self) -> None:
        """One who had a slot needs it no more."""
        self.taken -= 1
        self._pass_on()

    def resize(self, limit: int, max_queue: int) -> None:
        """Other bounds from now on. Nobody loses what he has, nor his place."""
        self._limit, self._max_queue = limit, max_queue
        self._pass_on()

    def dismiss(self) -> None:
        """Send all who wait away."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(False)

    def _pass_on(self) -> None:
        while self._waiting and self.free:
            turn = self._waiting.popleft()
            if not turn.done():
                self.taken += 1
                turn.set_result(True)

    def _leave(self, turn: asyncio.Future[bool]) -> None:
        """Whoever goes in the moment in which it got a slot gives it back."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled() and turn.result():
            self.give_back()
