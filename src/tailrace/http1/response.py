"""One request and its response on an HTTP/1 connection: framing, and breaking off.

How a body is delimited depends on the client's version (RFC 9112 §6.3):

    body                      HTTP/1.1              HTTP/1.0
    ------------------------  --------------------  --------------------
    length announced          as announced          as announced
    length not known          chunked               until close
    HEAD, 204, 304            none                  none

and there is exactly one Connection field, whatever the application gives.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPScope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from tailrace.contracts import SinkOwner
from tailrace.http1.flow_control import Flag, Flow
from tailrace.http1.request_reader import RequestHead

logger = logging.getLogger(__name__)

# Bytes of body that wait for the application before the socket is no longer read.
_BODY_HIGH_WATER: Final = 64 * 1024
_FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE_BAD: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Refusal(Protocol):
    """Puts an error into words: the response that says so to clients of a path. Never raises."""

    def __call__(
        self, error: BaseException, path: str, /
    ) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
        """Return status, fields and body."""
        ...


class Host(Protocol):
    """What a cycle needs of its connection."""

    transport: asyncio.Transport
    flow: Flow

    @property
    def refusal(self) -> Refusal:
        """How errors are said to clients."""
        ...

    @property
    def default_headers(self) -> Iterable[tuple[bytes, bytes]]:
        """Fields for every response, Date among them."""
        ...

    def answered(self) -> None:
        """The running response is whole."""
        ...

    def drop(self, cycle: Cycle) -> None:
        """Break the connection off in the middle of a response."""
        ...


class Cycle:
    """One request and its response, with a framing that suits the client's version."""

    __slots__ = (
        "_body", "_bodyless", "_expects_continue", "_flow", "_host", "_method", "_modern", "_news",
        "_read", "_remaining", "chunked", "disconnected", "half_closed", "keep_alive", "more_body",
        "reader", "response_complete", "response_started", "transport",
    )  # fmt: skip

    def __init__(self, host: Host, head: RequestHead) -> None:
        self._host = host
        self._flow = host.flow
        self.transport = host.transport
        self._method = head.method
        self._modern = head.modern
        self._expects_continue = head.expects_continue
        self.keep_alive = head.keep_alive
        self._news = Flag()  # what receive() waits for
        self._body = bytearray()
        self.more_body = True
        """Whether the request has not come to its end."""
        self._read = False  # whether the application was given the request's end
        self.disconnected = False
        self.half_closed = False
        """Whether the client has closed its side, and may still read a short response."""
        self.response_started = False
        self.response_complete = False
        self.chunked = False
        self._remaining: int | None = None  # of the body, where its length was announced
        self._bodyless = False
        self.reader: SinkOwner | None = None
        """Who writes the body straight to the transport, and hears when there is room or nobody."""

    # --- the request --------------------------------------------------------------------------

    def hear(self, data: bytes) -> None:
        """Some of the request's body has come; whoever streams meanwhile does not want it."""
        if self.response_complete or self.reader is not None:
            return
        self._body += data
        if len(self._body) > _BODY_HIGH_WATER:
            self._flow.pause_reading()
        self._news.set()

    def drop_body(self) -> None:
        """Read on and keep nothing: a socket that is not read does not tell who left."""
        self._body.clear()
        if self.more_body:
            self._flow.resume_reading()

    def hear_end(self) -> None:
        """The request is whole."""
        self.more_body = False
        self._news.set()

    def hear_no_more(self) -> None:
        """The client has closed its side of the connection (FIN).

        That is all there is to see of most clients that leave. So whoever reads a stream, or
        waits for an upstream, counts as gone: they have or will have a ``reader``, or the
        application asks ``receive`` whether they are there. Any other response is short, and is
        completed for clients that close their side behind a request.
        """
        if self.more_body or self.reader is not None:
            self.lose()
            return
        self.half_closed = True
        self._news.set()

    def lose(self) -> None:
        """Treat the client as gone: nothing more is written, ``receive`` says disconnect."""
        self.disconnected = True
        self._news.set()
        if self.reader is not None:
            self.reader.lost()

    async def receive(self) -> ASGIReceiveEvent:
        """ASGI ``receive``."""
        over = self.disconnected or self.response_complete
        # Where the request was refused, our side of the connection is closed.
        if self._expects_continue and not (over or self.transport.is_closing()):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects_continue = False
        if not (over or self._waits_in_vain):
            self._flow.resume_reading()
            await self._news.wait()
            self._news.clear()
        if self._waits_in_vain:
            self.abort()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        if not self.more_body:
            self._read = True
            # A socket that is not read does not tell that its client left.
            self._flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    @property
    def _waits_in_vain(self) -> bool:
        """Whether the application, which has the whole request, asks if the client still waits."""
        return self.half_closed and self._read

    # --- the response -------------------------------------------------------------------------

    async def run(self, app: ASGI3Application, scope: HTTPScope) -> None:
        """Have the application answer. What it leaves open, and gave to nobody, is cut."""
        try:
            await app(scope, self.receive, self.send)
        except BaseException:
            logger.exception("The application failed.")
        else:
            if self.response_complete or self.disconnected or self.reader is not None:
                return
            logger.error("The application returned without completing its response.")
        if self.response_started:
            self.transport.close()
        else:
            await self._fail(scope["path"])

    async def _fail(self, path: str) -> None:
        status, fields, body = self._host.refusal(RuntimeError(), path)
        headers = [*fields, (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    @property
    def streams(self) -> bool:
        """Whether a body without an announced length is under way."""
        under_way = self.response_started and not self.response_complete
        return under_way and self._remaining is None and not self._bodyless

    async def send(self, message: ASGISendEvent) -> None:
        """ASGI ``send``. Waits while the transport is full; does nothing for a lost client."""
        if self._flow.write_paused and not self.disconnected:
            await self._flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._start(message["status"], message.get("headers", ()))
            return
        turn = self.response_started and not self.response_complete
        if message["type"] != "http.response.body" or not turn:
            raise RuntimeError(f"{message['type']} was sent out of turn")
        self._continue(message.get("body", b""), message.get("more_body", False))

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lines = [STATUS_LINE[status]]
        connection = b""
        for name, value in (*self._host.default_headers, *headers):
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
        self._bodyless = self._method == "HEAD" or status in (204, 304)
        lines.append(self._framing(connection))
        self.response_started = True
        self._expects_continue = False
        self.transport.write(b"".join(lines))

    def _framing(self, connection: bytes) -> bytes:
        """The last lines of the head: how the body is delimited, and what comes after it."""
        open_ended = self._remaining is None and not self._bodyless
        self.chunked = open_ended and self._modern
        if b"close" in connection.lower() or (open_ended and not self.chunked):
            self.keep_alive = False
        if not self.keep_alive:
            connection = b"close"
        lines = b"transfer-encoding: chunked\r\n" if self.chunked else b""
        if connection:
            lines += b"connection: " + connection + b"\r\n"
        return lines + b"\r\n"

    def end(self) -> None:
        """End the body of a response that has begun."""
        self._continue(b"", more=False)

    def abort(self) -> None:
        """Leave the response without its end; nothing where it has that, or nobody reads it."""
        if not (self.response_complete or self.disconnected):
            self._host.drop(self)

    def _continue(self, body: bytes, more: bool) -> None:
        if self._bodyless:
            pass
        elif self.chunked:
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
            self._news.set()
            self._host.answered()


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


class ResponseTransport:
    """The transport below one response: ``contracts.Connection``, as we implement it."""

    __slots__ = ("_chunked", "_chunks", "_cycle", "_flow", "_transport", "peer", "written")

    def __init__(
        self, cycle: Cycle, flow: Flow, peer: tuple[str, int] | None, chunks: Chunks
    ) -> None:
        self._cycle = cycle
        self._chunks = chunks
        self._transport = cycle.transport
        self._flow = flow
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
        self._chunked = cycle.chunked
        if reader is None:
            return
        if cycle.disconnected:
            reader.lost()
        elif cycle.half_closed:
            cycle.abort()
        else:
            cycle.drop_body()

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
        self._cycle.abort()
