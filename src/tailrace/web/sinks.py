"""Where a cursor's bytes go: two ways to the same client.

`TransportSink` writes to the transport of a connection of ours, by a plain call, and the
transport's own pause and resume are the backpressure. `AsgiSink` works under any server, at the
cost of a task switch a write: at most one slice waits in it while another is on its way through
the server, whose ``send`` returns once its transport has room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tailrace.contracts import Connection, SinkOwner
from tailrace.patience import Alarm
from tailrace.web.outcome import Outcome, Send


class TransportSink:
    """Takes a cursor's bytes straight to its client's transport, and ends the response.

    The request's task is over by then, and with it all that was needed to answer: a viewer in
    whose stream nothing happens costs a connection, a cursor and this.
    """

    __slots__ = ("_connection", "_outcome", "_owner", "_patience", "retiring", "write")

    def __init__(self, connection: Connection, outcome: Outcome, patience: float) -> None:
        """``patience``: seconds that a client may take nothing of what is left at the end."""
        self._connection = connection
        self._outcome = outcome
        self._patience = patience
        self._owner: SinkOwner | None = None
        self.retiring: asyncio.TimerHandle | Alarm | None = None
        """Cancelled at the response's end."""
        # Called for every delivery, so without a function of ours between.
        self.write: Callable[[bytes], bool] = connection.write

    def follow(self, owner: SinkOwner) -> None:
        """Let ``owner`` write until the end, which it says with ``finish``.

        Raises RuntimeError where no body of unknown length has begun.
        """
        self._owner = owner
        self._connection.stream_to(self)

    @property
    def over(self) -> bool:
        """Whether nobody writes, or never will: the owner has ended it, or the client left."""
        return self._owner is None

    def finish(self, whole: bool) -> None:
        """End after what was written."""
        self._owner = None
        if not whole:
            self._outcome.aborted = True
            self._connection.abort()  # which says lost()
        elif not self._connection.full:
            self._end()
        else:
            # The cursor is done, and with it the clock for a client that does not read.
            if self.retiring is not None:
                self.retiring.cancel()
            loop = asyncio.get_running_loop()
            self.retiring = Alarm(loop, loop.time() + self._patience, self._drop)

    def _drop(self) -> None:
        self._outcome.aborted = True
        self._connection.abort()

    def writable(self) -> None:
        """The transport has room again: for more, or for the end alone."""
        if self._owner is not None:
            self._owner.writable()
        else:
            self._end()

    def lost(self) -> None:
        """The client is gone, or was dropped by us."""
        self._outcome.left = not self._outcome.aborted
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.lost()
        self._close()

    def _end(self) -> None:
        self._outcome.left = not self._connection.end()
        self._close()

    def _close(self) -> None:
        self._connection.stream_to(None)
        if self.retiring is not None:
            self.retiring.cancel()
        self._outcome.size += self._connection.written
        self._outcome.end()


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
