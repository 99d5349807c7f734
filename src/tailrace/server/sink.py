"""Where a cursor's bytes go: two ways to the same client.

`TransportSink` writes to the transport of a connection of ours, by a plain call, and the
transport's own pause and resume are the backpressure. `AsgiSink` works under any server, at the
cost of a task switch a write: at most one slice waits in it while another is on its way through
the server, whose ``send`` returns once its transport has room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tailrace.contracts import SinkOwner
from tailrace.server.access_log import Entry, Send
from tailrace.server.cycle import Connection


class TransportSink:
    """Takes a cursor's bytes straight to its client's transport."""

    __slots__ = ("_connection", "_done", "_entry", "_owner", "write")

    def __init__(self, connection: Connection, entry: Entry) -> None:
        self._connection = connection
        self._entry = entry
        self._owner: SinkOwner | None = None
        self._done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        # Called for every delivery, so without a function of ours between.
        self.write: Callable[[bytes], bool] = connection.write

    def finish(self, whole: bool) -> None:
        """End after what was written."""
        if not self._done.done():
            self._done.set_result(whole)

    def writable(self) -> None:
        """The transport has room again."""
        if self._owner is not None:
            self._owner.writable()

    def lost(self) -> None:
        """The client is gone, or was dropped by us."""
        self._entry.left = not self._entry.aborted
        if self._owner is not None:
            self._owner.lost()
        self.finish(whole=False)

    async def run(self, owner: SinkOwner) -> bool:
        """Let ``owner`` write until the end; return whether the body is to end cleanly."""
        self._owner = owner
        self._connection.stream_to(self)
        try:
            return await self._done
        finally:
            self._connection.stream_to(None)
            self._entry.size += self._connection.written
            self._owner = None


class AsgiSink:
    """Takes a cursor's bytes; ``run`` carries them to the client."""

    def __init__(self, send: Send, break_off: Callable[[], None]) -> None:
        """``break_off`` drops the connection under a ``send`` that waits for its client."""
        self._send = send
        self._break_off = break_off
        self._sending = False
        self._data: list[bytes] = []
        self._ended = False
        self._whole = False
        self._wake: asyncio.Future[None] | None = None

    def write(self, data: bytes) -> bool:
        """Take a slice. Always full until it was sent."""
        self._data.append(data)
        self._ring()
        return False

    def finish(self, whole: bool) -> None:
        """End after what was taken."""
        self._ended = True
        self._whole = whole
        if self._sending and not whole:
            self._break_off()  # else a client that reads nothing would be waited for
        self._ring()

    def _ring(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def run(self, owner: SinkOwner) -> bool:
        """Carry until the end; return whether the body is to end cleanly."""
        loop = asyncio.get_running_loop()
        while True:
            if self._data:
                # A slice, and perhaps the few bytes of an ending or a farewell behind it.
                data = self._data[0] if len(self._data) == 1 else b"".join(self._data)
                self._data.clear()
                self._sending = True
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
                self._sending = False
                owner.writable()
            elif self._ended:
                return self._whole
            else:
                self._wake = loop.create_future()
                await self._wake
                self._wake = None
