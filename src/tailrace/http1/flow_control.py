"""When to read from a connection's transport, and when to write to it."""

from __future__ import annotations

import asyncio
from typing import Final

# Below this the transport takes one more slice (32 KiB): a viewer that stops reading holds at
# most 64 KiB in the transport, and one slice waits in its sink.
WRITE_HIGH_WATER: Final = 32 * 1024
# A quarter: resuming sooner would wake the writer for every packet that leaves.
WRITE_LOW_WATER: Final = WRITE_HIGH_WATER // 4


class Flag:
    """What asyncio.Event is, for what each connection has several of.

    An Event keeps a deque, of 0.7 KB when it is empty; here nobody waits for nearly all of them.
    """

    __slots__ = ("_raised", "_waiters")

    def __init__(self) -> None:
        self._raised = False
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    def set(self) -> None:
        """Wake all who wait; nobody waits until it is cleared."""
        self._raised = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """From now on one waits again."""
        self._raised = False

    async def wait(self) -> None:
        """Return when it is set."""
        if self._raised:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters = (*self._waiters, waiter)
        try:
            await waiter
        finally:
            self._waiters = tuple(other for other in self._waiters if other is not waiter)


class Flow:
    """Both directions of one transport."""

    __slots__ = ("_room", "_transport", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._room = Flag()
        self._room.set()
        self.read_paused = False
        self.write_paused = False
        """Whether the transport has enough for now."""
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER, low=WRITE_LOW_WATER)

    def pause_reading(self) -> None:
        """Leave what comes to the kernel. A client's leaving is not noticed meanwhile."""
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The transport says so."""
        self.write_paused = True
        self._room.clear()

    def resume_writing(self) -> None:
        """The transport says so, or is gone."""
        self.write_paused = False
        self._room.set()

    async def drain(self) -> None:
        """Wait until the transport has room."""
        await self._room.wait()
