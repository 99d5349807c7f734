"""Those who wait for the next change of a stream, and read it by themselves then."""

from __future__ import annotations

import asyncio
from typing import final

from mypy_extensions import mypyc_attr


@final
@mypyc_attr(native_class=True)
class Watchers:
    """Futures of those who wait; ``count`` says how many there are."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        self.count = 0

    async def wait(self) -> None:
        """Return after the next ``wake``."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        self.count += 1
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
            self.count -= 1

    def wake(self) -> None:
        """Let all who wait go on."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
