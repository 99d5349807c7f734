"""One TCP connection, perhaps under TLS, that carries one exchange at a time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final, Protocol, cast

# Minutes of thought look like a dead connection to the address translators on the way, which
# forget one after some 350 s (measured by others at the large clouds); a probe reminds them.
_KEEPALIVE_SECONDS: Final = 60
# Linux and Windows, then macOS.
_KEEPALIVE_OPTION: Final = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))


class Carried(Protocol):
    """What a connection carries: an exchange, or the opening of a tunnel."""

    def received(self, data: bytes) -> None:
        """The next bytes."""
        ...

    def lost(self, clean: bool) -> None:
        """No more bytes will come. ``clean``: the peer said so, by FIN or TLS close_notify."""
        ...


class Connection(asyncio.Protocol):
    """The asyncio protocol. ``transport`` is replaced when TLS starts."""

    transport: asyncio.Transport

    def __init__(self, on_lost: Callable[[Connection], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.gone = self.loop.create_future()
        """Done once the transport has let go of the socket."""
        self._on_lost = on_lost
        self._carried: Carried | None = None

    @property
    def usable(self) -> bool:
        """Whether a new exchange may begin: open, and nothing of the last one left to send."""
        return not self.transport.is_closing() and self.transport.get_write_buffer_size() == 0

    def carry(self, carried: Carried, message: bytes) -> None:
        """Begin an exchange by sending ``message``."""
        self._carried = carried
        self.transport.write(message)

    def put_down(self) -> None:
        """The exchange is over; from now on nothing may come."""
        self._carried = None
        self.resume()

    def pause(self) -> None:
        if not self.transport.is_closing():  # uvloop raises on a closing transport
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

    def connection_lost(self, _error: Exception | None) -> None:
        self._tell_lost(clean=False)
        if not self.gone.done():
            self.gone.set_result(None)
        self._on_lost(self)

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
