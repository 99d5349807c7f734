"""One connection of the scripted upstream: reads requests, performs the plans of scripts.

It owes its client nothing: no timeouts, no limits, no repairs. Its one promise is that a write
of a script is in the kernel before the next step begins, so that what a script cuts apart
leaves apart (the network may still join it, as it may join anything).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Final, Protocol, cast

import httptools

from tailrace.testing.exchange import Bell, Gate, ScriptedExchange
from tailrace.testing.script import Close, Pause, Script, Wait, Write, plan, respond

# struct linger {on, 0 s}: close() then sends RST instead of FIN. Winsock's fields are shorts.
_RESET_ON_CLOSE: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Director(Protocol):
    """Who decides what is answered."""

    bell: Bell

    def enter(self, connection: ScriptedConnection) -> int:
        """A connection was made; gives its number."""
        ...

    def leave(self, connection: ScriptedConnection) -> None:
        """It is gone."""
        ...

    def choose(self, exchange: ScriptedExchange) -> Script:
        """What to answer; notes the request."""
        ...

    def gate(self, name: str) -> Gate: ...

    def failed(self, error: Exception) -> None:
        """A script could not be performed: an error of the test's own."""
        ...


class ScriptedConnection(asyncio.Protocol):
    """Answers the requests of one connection, in their order."""

    _transport: asyncio.Transport
    _reading: ScriptedExchange

    def __init__(self, director: Director) -> None:
        self._director = director
        self._writable = asyncio.Event()
        self._writable.set()
        self._incoming: asyncio.Queue[tuple[ScriptedExchange, bool]] = asyncio.Queue()
        self._current: ScriptedExchange | None = None
        self._closing = False
        self._parser = httptools.HttpRequestParser(self)
        self._number = 0
        self.serving: asyncio.Task[None] | None = None
        """Ends when the connection does."""

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Nothing may wait in our own buffer: then a write is over when it is resumed. asyncio's
        # TLS transport pauses at `high` already, not above it: with 0 it would never resume.
        secured = transport.get_extra_info("ssl_object") is not None
        self._transport.set_write_buffer_limits(high=1 if secured else 0, low=0)
        self._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = self._director.enter(self)
        self.serving = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return
        except httptools.HttpParserError:
            self.abort()

    def eof_received(self) -> None:
        self._client_left()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._client_left()
        self._director.leave(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- httptools callbacks ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._reading = ScriptedExchange(self._director.bell, connection=self._number)

    def on_url(self, target: bytes) -> None:
        self._reading.target += target.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        field = (name.decode("latin-1").lower(), value.decode("latin-1"))
        self._reading.headers.append(field)

    def on_body(self, body: bytes) -> None:
        self._reading.body += body

    def on_message_complete(self) -> None:
        exchange = self._reading
        exchange.method = self._parser.get_method().decode("latin-1")
        exchange.version = self._parser.get_http_version()
        self._incoming.put_nowait((exchange, bool(self._parser.should_keep_alive())))

    # --- answering ----------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether no request waits or is being answered."""
        return self._current is None and self._incoming.empty()

    def close(self) -> None:
        """End the connection with FIN, whatever it is at."""
        self._closing = True
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once, with what is unsent."""
        self._closing = True
        self._transport.abort()

    async def _serve(self) -> None:
        while not self._closing:
            exchange, keep = await self._incoming.get()
            self._current = exchange
            answer = self._chosen(exchange)
            await self._perform(exchange, answer, keep)
            self._current = None
            exchange.mark_answered()

    def _chosen(self, exchange: ScriptedExchange) -> Script:
        try:
            return self._director.choose(exchange)
        except Exception as error:
            self._director.failed(error)
            return respond(500, b"{}")

    async def _perform(self, exchange: ScriptedExchange, answer: Script, keep: bool) -> None:
        for action in plan(answer, keep=keep):
            match action:
                case Write(data):
                    await self._write(data)
                    exchange.sent += len(data)
                case Wait(gate):
                    await self._director.gate(gate).stand()
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Close(reset=True):
                    self._reset()
                case Close():
                    self.close()

    async def _write(self, data: bytes) -> None:
        # A turn for a reader in this loop: it may then see this write apart from the one before.
        # Not after the write: a client that leaves with all it was sent did not leave early.
        await asyncio.sleep(0)
        self._transport.write(data)
        await self._writable.wait()

    def _reset(self) -> None:
        with contextlib.suppress(OSError):
            self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.abort()

    def _client_left(self) -> None:
        if self.serving is not None:
            self.serving.cancel()
        if self._current is not None and not self._closing and not self._current.left:
            self._current.mark_left()

    def _socket(self) -> socket.socket:
        return cast("socket.socket", self._transport.get_extra_info("socket"))
