"""One TCP connection, perhaps under TLS, that carries one exchange at a time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, cast

# Minutes of thought look like a dead connection to the address translators on the way, which
# forget one after some 350 s (measured by others at the large clouds); a probe reminds them.
_KEEPALIVE_SECONDS: Final = 60
# Linux and Windows, then macOS.
_KEEPALIVE_OPTION: Final = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))

# Bytes of an answer that came right before a reset: those of a head and a few lines.
_LAST_WORDS: Final = 64 * 1024


class Carried(Protocol):
    """What a connection carries: an exchange, or the opening of a tunnel."""

    def received(self, data: bytes) -> None:
        """The next bytes."""
        ...

    def lost(self, clean: bool) -> None:
        """No more bytes will come. ``clean``: the peer said so, by FIN or TLS close_notify."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """The asyncio protocol. ``transport`` is replaced when TLS starts."""

    transport: asyncio.Transport

    def __init__(self, on_lost: Callable[[UpstreamConnection], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.gone = self.loop.create_future()
        """Done once the transport has let go of the socket."""
        self._on_lost = on_lost
        self._carried: Carried | None = None
        self._full = False
        self._room: asyncio.Future[None] | None = None  # what drain() waits for

    @property
    def usable(self) -> bool:
        """Whether a new exchange may begin: open, and nothing of the last one left to send."""
        return not self.transport.is_closing() and self.transport.get_write_buffer_size() == 0

    def carry(self, carried: Carried, message: bytes) -> None:
        """Begin an exchange by sending ``message``."""
        self._carried = carried
        self.transport.write(message)

    def write(self, data: bytes) -> None:
        """Send more of the request; nothing where the connection is about to be lost."""
        if not self.transport.is_closing():  # uvloop raises on a closing transport
            self.transport.write(data)

    async def drain(self) -> None:
        """Wait until the transport has room, or is gone. One may wait at a time."""
        if self._full:
            self._room = self.loop.create_future()
            await self._room

    def put_down(self) -> None:
        """The exchange is over; from now on nothing may come."""
        self._carried = None
        self.resume()

    def pause(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """Close the socket at once; what was carried hears nothing more."""
        self._carried = None
        self.transport.abort()

    def close(self) -> None:
        """Close the socket at once; what is carried hears of it."""
        self.transport.abort()

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if _KEEPALIVE_OPTION is not None:
            raw.setsockopt(socket.IPPROTO_TCP, _KEEPALIVE_OPTION, _KEEPALIVE_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._carried is None:
            # A late second answer, or a 408: whatever it is, no request of ours asked for it.
            self.transport.abort()
            return
        self._carried.received(data)

    def eof_received(self) -> None:
        self._tell_lost(clean=self._peer_ended())
        self.transport.abort()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and self._carried is not None:
            self._hear_last_words(self._carried)
        self._tell_lost(clean=False)
        self.resume_writing()
        if not self.gone.done():
            self.gone.set_result(None)
        self._on_lost(self)

    def _hear_last_words(self, carried: Carried) -> None:
        """Read what the peer said before it reset the connection.

        A server that refuses a body answers and closes, and what it did not read makes that a
        reset (RFC 9112 §9.6). If our next write meets it first, the event loop gives the socket
        up with the answer in it. Under TLS its bytes are not ours to read.
        """
        if self.transport.get_extra_info("ssl_object") is not None:
            return
        raw = self.transport.get_extra_info("socket")
        data = b""
        with suppress(OSError), socket.fromfd(raw.fileno(), raw.family, raw.type) as same:
            same.setblocking(False)
            data = same.recv(_LAST_WORDS)
        if data:
            carried.received(data)

    def _peer_ended(self) -> bool:
        """Whether the end of the connection was said by the peer, and not by anyone on the way.

        Under TLS only close_notify says so (RFC 8446 §6.1). asyncio reports a mere FIN in the
        same way (uvloop does not), so ask OpenSSL: it reads the end, or wants more.
        """
        tls = self.transport.get_extra_info("ssl_object")
        try:
            return tls is None or tls.read(1) == b""
        except ssl.SSLError:
            return False

    def _tell_lost(self, clean: bool) -> None:
        carried, self._carried = self._carried, None
        if carried is not None:
            carried.lost(clean)
