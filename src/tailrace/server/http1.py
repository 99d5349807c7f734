"""HTTP/1 as we speak it: uvicorn's httptools protocol with its gaps closed.

uvicorn reads bytes, calls the parser, and runs the application in a task; that stays. What a
server of long responses must get right besides is here, and was found by running uvicorn 0.54:

    what happens                               uvicorn 0.54             here
    -----------------------------------------  -----------------------  -------------------------
    a target or head without end               kept in memory, 200      414, 431 while it arrives
    malformed HTTP                             400 in plain text        400 as a problem
    … behind a response that is running        written into that body   that response ends first
    a head that never becomes complete         waited for, for ever     closed after head_timeout
    trailer fields                             appended to the headers  counted and dropped
    a request behind one that is running       the running response     that response is told;
                                               never hears of a         what follows waits, unread
                                               disconnect               beyond 64 KiB
    HTTP/1.0                                   given chunks             framed by close
    a Connection field of the application      doubled on close         exactly one
    a body with "Upgrade: h2c" (Java's client) lost                     read; the upgrade declined
    raw UTF-8 in a target (curl "…?content=é") 400                      percent-encoded, as Go reads
    absolute-form target                       its host is ignored      it replaces Host (RFC 9112)

Every refusal is answered in full before the connection goes: closing a socket of which not all
was read makes the kernel send RST, and a client may then lose the answer (RFC 9112 §9.6). So the
sending side is closed first, and what still comes is read and dropped for LINGER seconds.

``limit_concurrency`` and WebSockets are uvicorn's and not offered here.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any, Final

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from tailrace.errors import BadRequest, HeadersTooLarge, RequestError
from tailrace.server.access_log import AccessLog
from tailrace.server.cycle import EXTENSION, Chunks, Connection, Cycle
from tailrace.server.head_limits import HeadMeter, Limits
from tailrace.server.problems import problem
from tailrace.server.sockets import set_options
from tailrace.server.target import parse_target, percent_encode_line

__all__ = ["EXTENSION", "Connection", "Http1Protocol", "Limits", "make_protocol"]

# Below this the transport takes one more slice (32 KiB): a viewer that stops reading holds at
# most 64 KiB in the transport, and one slice waits in its sink.
WRITE_HIGH_WATER: Final = 32 * 1024
# A quarter: resuming sooner would wake the writer for every packet that leaves.
WRITE_LOW_WATER: Final = WRITE_HIGH_WATER // 4
# Bytes behind a running request that are kept before the socket is no longer read.
HELD_HIGH_WATER: Final = 64 * 1024
# Requests in one read behind a running one. Browsers pipeline none; tools that do send few.
MAX_PIPELINED: Final = 16
# Seconds to read and drop what a refused client still sends. nginx waits 5 s between packets;
# we wait 2 s in all, since the answer has usually arrived within a round trip.
LINGER: Final = 2.0
# Seconds for the last 64 KiB to reach a slow reader after we closed: that is 2 KiB/s.
FLUSH_PATIENCE: Final = 30.0


class _Stage(Enum):
    """Where the parser stands in the request that it reads."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class Http1Protocol(HttpToolsProtocol):
    """One connection. ``make_protocol`` gives it its limits."""

    limits: Limits = Limits()
    log: AccessLog | None = None
    chunks: Chunks
    """Shared by the connections of one server."""
    extends: bool = True
    """Whether applications are offered the connection, beside plain ASGI."""
    cycle: Cycle | None  # type: ignore[assignment]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url = b""
        self._stage = _Stage.IDLE
        self._line_open = True  # the request line has not been seen to its end
        self._meter = HeadMeter(self.limits)
        self._replaying = False
        self._deaf = False  # refused: whatever still comes is dropped
        self._held = bytearray()  # what came behind a queued request, unparsed
        self._running: Cycle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # --- the connection -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER, low=WRITE_LOW_WATER)
        set_options(transport.get_extra_info("socket"))
        self._expire_after(self.limits.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        self._held.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.lose()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops: end after the running response."""
        self.pipeline.clear()
        self._held.clear()
        running = self._unfinished()
        if running is None:
            self._close()
        else:
            running.keep_alive = False

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._deaf:
            return
        if not self.pipeline:
            self._feed(data)
            return
        # A request waits behind the running one. Reading goes on, unparsed, because a socket
        # that is not read does not tell that its client left.
        self._held += data
        if len(self._held) > HELD_HIGH_WATER:
            self.flow.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        running = self._running
        if running is not None and running.reader is not None:
            running.reader.writable()

    def timeout_keep_alive_handler(self) -> None:
        """Called by uvicorn when nothing followed a response for a while."""
        self._close()

    def _close(self) -> None:
        """Close once what was written is flushed, which may not take for ever.

        To a client that does not read, TCP offers the rest again and again without end.
        """
        self._deaf = True
        self.transport.close()
        self._expire_after(FLUSH_PATIENCE)

    def _expire_after(self, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _unfinished(self) -> Cycle | None:
        """The cycle whose response is being made."""
        running = self._running
        return None if running is None or running.response_complete else running

    # --- parsing ------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        if self._stage is not _Stage.BODY and self._line_open:
            data, ended = percent_encode_line(data)
            self._line_open = not ended
        try:
            self.parser.feed_data(data)
            self._meter.read(len(data))
        except httptools.HttpParserUpgrade as declined:
            self._decline_upgrade(data[declined.args[0] :])
        except httptools.HttpParserError as broken:
            self._refuse(self._cause(broken))
        except HeadersTooLarge as error:
            self._refuse(error)
        else:
            self._mind_the_head()

    def _cause(self, broken: httptools.HttpParserError) -> BaseException:
        """What to answer: what our own callback raised, or else that this is not HTTP."""
        cause = broken.__context__
        if isinstance(broken, httptools.HttpParserCallbackError) and cause is not None:
            if not isinstance(cause, RequestError):
                self.logger.error("A request could not be read.", exc_info=cause)
            return cause
        return BadRequest(f"This is not valid HTTP/1.1 ({broken}).")

    def _mind_the_head(self) -> None:
        """Bound the time that an unfinished head may take."""
        waiting = self._stage is not _Stage.BODY and self._unfinished() is None
        if waiting and self._deadline is None and self.timeout_keep_alive_task is None:
            self._expire_after(self.limits.head_timeout)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read on as HTTP/1.1, which RFC 9110 §7.8 lets a server do.

        httptools takes a body behind ``Upgrade`` for another protocol's bytes. A new parser
        is given the framing fields alone and continues with the body.
        """
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        framing = (b"content-length", b"transfer-encoding")
        lines = [b"%b: %b\r\n" % field for field in self.headers if field[0] in framing]
        self._replaying = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n")
        if rest:
            self._feed(rest)

    # --- the parser's callbacks ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._replaying:
            return
        super().on_message_begin()
        self._stage = _Stage.HEAD
        self._meter.restart()

    def on_url(self, url: bytes) -> None:
        if self._replaying:
            return
        super().on_url(url)
        self._meter.target(len(self.url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._replaying:
            return
        self._meter.field(name, value)
        if self._stage is _Stage.HEAD:  # else a trailer, which must not pass for a header
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._replaying:
            self._replaying = False
            return
        self._complete_scope()
        self._stage = _Stage.BODY
        self._meter.restart()
        self._cancel_deadline()
        self._unset_keepalive_if_required()
        cycle = self._make_cycle()
        if self._unfinished() is None:
            self.cycle = cycle
            self._start_asgi_task(cycle, self.app)
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            raise BadRequest("Too many requests wait on this connection.")
        self.cycle = cycle
        self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._meter.hear()
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():  # the body, if any, is read by another parser
            return
        super().on_message_complete()
        self._stage = _Stage.IDLE
        self._line_open = True
        self._meter.restart()
        if self.cycle is not None and self.cycle.more_body and self.cycle.response_complete:
            self._rest_came(self.cycle)

    def _complete_scope(self) -> None:
        version: str = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise BadRequest(f"HTTP/{version} is not spoken here; use HTTP/1.1.")
        target = parse_target(self.url)
        if target.authority is not None:
            self.headers[:] = [field for field in self.headers if field[0] != b"host"]
            self.headers.append((b"host", target.authority))
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self.scope["path"] = self.root_path + target.path
        self.scope["raw_path"] = self.root_path.encode("ascii") + target.raw_path
        self.scope["query_string"] = target.query

    def _make_cycle(self) -> Cycle:
        modern = self.scope["http_version"] == "1.1"
        cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,  # ours is written by the application, at the request's end
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and modern,  # RFC 9110 §10.1.1
            keep_alive=modern and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if self.extends:
            connection: Any = Connection(cycle, self._drop, self.client, self.chunks)
            self.scope["extensions"] = {EXTENSION: connection}
        return cycle

    def _should_upgrade(self) -> bool:
        return False

    # --- responses ----------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        assert isinstance(cycle, Cycle)  # noqa: S101  # we make no other
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        finished = self._running
        if finished is not None and finished.more_body and not self.transport.is_closing():
            self._drop_rest(finished)
            return
        if finished is not None and not finished.keep_alive:
            self._close()
        super().on_response_complete()
        if self._held and not self.pipeline:
            held = bytes(self._held)
            self._held.clear()
            self.data_received(held)

    def _drop_rest(self, finished: Cycle) -> None:
        """The response is out before the request was in: read and drop the rest, for a while."""
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._expire_after(LINGER)
        if not finished.keep_alive:
            self._half_close()

    def _rest_came(self, finished: Cycle) -> None:
        self._cancel_deadline()
        if not finished.keep_alive:
            self._close()
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _drop(self, cycle: Cycle) -> None:
        """Break the connection off in the middle of a response."""
        cycle.lose()
        self.pipeline.clear()
        if self.flow.write_paused:
            self.transport.abort()
            return
        self._close()

    def _refuse(self, error: BaseException) -> None:
        """Answer for a request that never reaches the application, then hear no more."""
        self._deaf = True
        self._cancel_deadline()
        self.pipeline.clear()
        self._held.clear()
        running = self._unfinished()
        if running is None and self._stage is _Stage.BODY:
            self._close()  # this request was answered already, before its end
            return
        if running is not None and not running.more_body:
            running.keep_alive = False  # what is broken comes behind it: it ends in peace
            return
        if running is not None and running.response_started:
            self._drop(running)  # an answer to this would land inside the other's body
            return
        if running is not None:
            running.lose()
        self._answer(error)
        self._half_close()
        self._expire_after(LINGER)

    def _answer(self, error: BaseException) -> None:
        path = self.url.partition(b"?")[0].decode("latin-1")
        answer = problem(error, path)
        headers = (*self.server_state.default_headers, *answer.headers, (b"connection", b"close"))
        lines = [b"%b: %b\r\n" % field for field in headers]
        self.transport.write(b"".join([STATUS_LINE[answer.status], *lines, b"\r\n", answer.body]))
        if self.log is not None:
            entry = self.log.begin("-")
            entry.status, entry.size = answer.status, len(answer.body)
            entry.end()

    def _half_close(self) -> None:
        if self.transport.can_write_eof():  # TLS cannot
            self.transport.write_eof()


def make_protocol(
    limits: Limits, log: AccessLog | None = None, *, extends: bool = True
) -> type[HttpToolsProtocol]:
    """The class for uvicorn's ``Config(http=…)``. ``log`` gets the requests refused here.

    ``extends``: offer applications the connection; else they have plain ASGI and nothing more.
    """
    members = {"limits": limits, "log": log, "chunks": Chunks(), "extends": extends}
    return type("LimitedHttp1Protocol", (Http1Protocol,), members)
