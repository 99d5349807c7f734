"""One request and its response on an HTTP/1 connection: framing, and breaking off.

uvicorn's cycle with ``send`` written anew, because how a body is delimited depends on the
client's version (RFC 9112 §6.3) and because there must be exactly one Connection field:

    body                      HTTP/1.1              HTTP/1.0
    ------------------------  --------------------  --------------------
    length announced          as announced          as announced
    length not known          chunked               until close
    HEAD, 204, 304            none                  none
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from uvicorn._types import ASGI3Application, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from tailrace.contracts import SinkOwner
from tailrace.server.problems import problem

EXTENSION: Final = "tailrace.connection"
"""``scope["extensions"][EXTENSION]`` is a Connection; absent under other ASGI servers."""

_FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE_BAD: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Cycle(RequestResponseCycle):
    """One request and its response, with a framing that suits the client's version."""

    _remaining: int | None = None
    """Bytes of body still to come where the length was announced."""
    _bodyless: bool = False

    reader: SinkOwner | None = None
    """Who writes the body straight to the transport, and hears when there is room or nobody."""

    def lose(self) -> None:
        """Treat the client as gone: nothing more is written, ``receive`` says disconnect."""
        self.disconnected = True
        self.message_event.set()
        if self.reader is not None:
            self.reader.lost()

    @property
    def streams(self) -> bool:
        """Whether a body without an announced length is under way."""
        under_way = self.response_started and not self.response_complete
        return under_way and self._remaining is None and not self._bodyless

    async def send(self, message: ASGISendEvent) -> None:
        """ASGI ``send``. Waits while the transport is full; does nothing for a lost client."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._start(message["status"], message.get("headers", ()))
            return
        turn = self.response_started and not self.response_complete
        if message["type"] != "http.response.body" or not turn:
            raise RuntimeError(f"{message['type']} was sent out of turn")
        self._continue(message.get("body", b""), message.get("more_body", False))

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Have the application answer. What it leaves open, and gave to nobody, is cut."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:
            self.logger.error("Exception in ASGI application", exc_info=error)
        else:
            if self.response_complete or self.disconnected or self.reader is not None:
                return
            self.logger.error("The ASGI application returned without completing its response.")
        if self.response_started:
            self.transport.close()
        else:
            await self.send_500_response()

    async def send_500_response(self) -> None:
        """Answer for an application that failed before it did."""
        answer = problem(RuntimeError(), self.scope["path"])
        headers = [*answer.headers, (b"connection", b"close")]
        await self.send(
            {"type": "http.response.start", "status": answer.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": answer.body})

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lines = [STATUS_LINE[status]]
        connection = b""
        for name, value in (*self.default_headers, *headers):
            if not _FIELD_NAME.fullmatch(name) or _FIELD_VALUE_BAD.search(value):
                raise RuntimeError("a response header field is malformed")
            lowered = name.lower()
            if lowered == b"connection":
                connection = value
                continue
            if lowered == b"transfer-encoding":  # framing is decided below, nowhere else
                continue
            if lowered == b"content-length":
                self._remaining = int(value)
            lines += (lowered, b": ", value, b"\r\n")
        self._bodyless = self.scope["method"] == "HEAD" or status in (204, 304)
        lines.append(self._framing(connection))
        self.response_started = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join(lines))

    def _framing(self, connection: bytes) -> bytes:
        """The last lines of the head: how the body is delimited, and what comes after it."""
        open_ended = self._remaining is None and not self._bodyless
        self.chunked_encoding = open_ended and self.scope["http_version"] == "1.1"
        if b"close" in connection.lower() or (open_ended and not self.chunked_encoding):
            self.keep_alive = False
        if not self.keep_alive:
            connection = b"close"
        lines = b"transfer-encoding: chunked\r\n" if self.chunked_encoding else b""
        if connection:
            lines += b"connection: " + connection + b"\r\n"
        return lines + b"\r\n"

    def end(self) -> None:
        """End the body of a response that has begun."""
        self._continue(b"", more=False)

    def _continue(self, body: bytes, more: bool) -> None:
        if self._bodyless:
            pass
        elif self.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.transport.write(chunk if more else chunk + b"0\r\n\r\n")
        else:
            if self._remaining is not None:
                self._remaining -= len(body)
                if self._remaining < 0 or (self._remaining and not more):
                    raise RuntimeError("the body differs from its Content-Length")
            self.transport.write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            self.on_response()


class Chunks:
    """Chunked coding (RFC 9112 §7.1) that remembers the last: many viewers get the same bytes."""

    __slots__ = ("_data", "_framed")

    def __init__(self) -> None:
        self._data = b""
        self._framed = b""

    def frame(self, data: bytes) -> bytes:
        """``data``, which is not empty, as one chunk."""
        if data is not self._data:
            self._data, self._framed = data, b"%x\r\n%b\r\n" % (len(data), data)
        return self._framed


class Connection:
    """What an application may know and do about the connection its request came on."""

    __slots__ = ("_chunked", "_chunks", "_cycle", "_drop", "_flow", "_transport", "peer", "written")

    def __init__(
        self,
        cycle: Cycle,
        drop: Callable[[Cycle], None],
        peer: tuple[str, int] | None,
        chunks: Chunks,
    ) -> None:
        self._cycle = cycle
        self._chunks = chunks
        self._drop = drop
        self._transport = cycle.transport
        self._flow = cycle.flow
        self._chunked = False
        self.written = 0
        """Bytes of body that ``write`` took."""
        self.peer = peer
        """Address and port, or None on a Unix socket."""

    def stream_to(self, reader: SinkOwner | None) -> None:
        """From now on ``write`` may be called; ``reader`` hears what becomes of it.

        Only for a body that has begun and whose length was not announced: RuntimeError for any
        other, those to HEAD and of 204 and 304 among them. The application may return meanwhile;
        then the reader ends the body. None: whoever wrote has stopped.
        """
        cycle = self._cycle
        if reader is not None and not cycle.streams and not cycle.disconnected:
            raise RuntimeError("only a body of unknown length can be streamed")
        cycle.reader = reader
        self._chunked = bool(cycle.chunked_encoding)
        if reader is not None and cycle.disconnected:
            reader.lost()

    def write(self, data: bytes) -> bool:
        """Give ``data``, which is not empty, to the transport; False: it has enough for now.

        Bound to its own response, whatever came behind it on the connection. Does nothing for
        a client that is gone.
        """
        transport = self._transport
        if transport.is_closing():  # on which uvloop's write raises
            return False
        self.written += len(data)
        transport.write(self._chunks.frame(data) if self._chunked else data)
        return not self._flow.write_paused

    @property
    def full(self) -> bool:
        """Whether the transport has enough for now."""
        return self._flow.write_paused

    def end(self) -> bool:
        """End the body, as ``send`` does with ``more_body`` false; False: the client is gone."""
        if self._transport.is_closing():
            return False
        self._cycle.end()
        return True

    def abort(self) -> None:
        """Close now, so that a chunked body is left without its last chunk.

        What was written is still flushed, unless the client is not reading. ``receive`` says
        disconnect from now on and ``send`` does nothing. Does nothing once the response is
        complete or the client gone. A client of HTTP/1.0 cannot tell this from a whole body:
        its framing has no room for the difference.
        """
        if not (self._cycle.response_complete or self._cycle.disconnected):
            self._drop(self._cycle)
