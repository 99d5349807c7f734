"""HTTP/1 as we speak it, in uvicorn's stead: a connection, and the responses made on it.

Bytes go to a reader (``reading.py``), each request that it finds is answered by the application
in a task (``cycle.py``), one after the other. What a server of long responses must get right
besides was found by running uvicorn 0.54:

    what happens                               uvicorn's httptools      here
    -----------------------------------------  -----------------------  -------------------------
    a target or head without end               kept in memory, 200      414, 431 while it arrives
    malformed HTTP                             400 in plain text        400 as a problem
    … behind a response that is running        written into that body   400 once that has ended
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
    FIN behind a whole request                 closed, unanswered       answered, unless by a stream

Every refusal is answered in full before the connection goes: closing a socket of which not all
was read makes the kernel send RST, and a client may then lose the answer (RFC 9112 §9.6). So the
sending side is closed first, and what still comes is read and dropped for LINGER seconds.

Connections are held by the thousand while nothing happens on them, so each has slots, and no
parser between requests.

``limit_concurrency`` and WebSockets are uvicorn's and not offered here.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from tailrace.contracts import EXTENSION, EndedRequest, Observer
from tailrace.errors import BadRequest, RequestError
from tailrace.http1.connection_timers import FLUSH_PATIENCE, LINGER, ConnectionTimers
from tailrace.http1.flow_control import Flow
from tailrace.http1.head_limits import Limits
from tailrace.http1.request_reader import RequestHead, RequestReader, Stage
from tailrace.http1.response import Chunks, Cycle, Refusal, ResponseTransport
from tailrace.http1.scope import make_scope
from tailrace.http1.socket_options import set_options

__all__ = ["Http1Protocol", "Limits", "make_protocol"]

logger = logging.getLogger(__name__)

# Bytes behind a running request that are kept before the socket is no longer read.
HELD_HIGH_WATER: Final = 64 * 1024
# Requests in one read behind a running one. Browsers pipeline none; tools that do send few.
MAX_PIPELINED: Final = 16


class Http1Protocol(asyncio.Protocol):
    """One connection. ``make_protocol`` gives it its limits."""

    __slots__ = (
        "_app_state", "_config", "_deaf", "_eof", "_held", "_loop", "_queue", "_reader", "_refusal",
        "_running", "_state", "_timers", "cycle", "flow", "transport",
    )  # fmt: skip

    limits: ClassVar[Limits] = Limits()
    observer: ClassVar[Observer | None] = None
    """Hears of the requests that are refused here."""
    refusal: ClassVar[Refusal]
    """How errors are said to clients."""
    chunks: ClassVar[Chunks]
    """Shared by the connections of one server."""
    extends: ClassVar[bool] = True
    """Whether applications are offered the connection, beside plain ASGI."""

    transport: asyncio.Transport
    flow: Flow
    _timers: ConnectionTimers

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn calls it."""
        if not config.loaded:
            config.load()
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_event_loop()
        self._reader: RequestReader | None = None  # while a request is being read
        self.cycle: Cycle | None = None  # whose request is, or was the last to be read
        self._running: Cycle | None = None  # whose response is being made, or was
        self._queue: tuple[tuple[Cycle, HTTPScope], ...] = ()  # read, to be answered after that
        self._held = bytearray()  # what came behind a queued request, unparsed
        self._deaf = False  # refused: whatever still comes is dropped
        self._refusal: tuple[BaseException, str] | None = None  # to be answered behind the queue
        self._eof = False  # the client has closed its side

    # --- the connection -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn's own classes
        self.transport = transport
        self.flow = Flow(transport)
        self._timers = ConnectionTimers(self._loop, transport)
        set_options(transport.get_extra_info("socket"))
        self._expect_a_head()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._state.connections.discard(self)
        self._timers.cancel_deadline()
        self._timers.cancel_idle()
        self._forget_what_follows()
        self._close_reader()
        running = self._unfinished()
        if running is not None:
            running.lose()
        self._running = self.cycle = None
        self.flow.resume_writing()

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops: end after the running response."""
        self._forget_what_follows()
        running = self._unfinished()
        if running is None:
            self._close()
        else:
            running.keep_alive = False

    def data_received(self, data: bytes) -> None:
        self._timers.cancel_idle()
        if self._deaf:
            return
        if not self._queue:
            self._feed(data)
            return
        # A request waits behind the running one. Reading goes on, unparsed, because a socket
        # that is not read does not tell that its client left.
        self._held += data
        if len(self._held) > HELD_HIGH_WATER:
            self.flow.pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more. True: something short is still to be answered."""
        if not self.transport.can_write_eof():  # TLS cannot close one side alone
            return False
        self._eof = True
        return self._goes_on_after_eof()

    def _goes_on_after_eof(self) -> bool:
        running = self._unfinished()
        if running is not None:
            running.hear_no_more()
            if not running.disconnected:
                return True
        self._forget_what_follows()
        self._close()
        return False

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()
        running = self._running
        if running is not None and running.reader is not None:
            running.reader.writable()

    def _close(self) -> None:
        """Close once what was written is flushed, which may not take for ever.

        To a client that does not read, TCP offers the rest again and again without end.
        """
        self._deaf = True
        self.transport.close()
        self._timers.expire_after(FLUSH_PATIENCE)

    def _expect_a_head(self) -> None:
        self._timers.expect_head(self.limits.head_timeout)

    def _expect_a_request(self) -> None:
        """Close where none follows for a while; one that has begun has no more than any other."""
        if self._reader is not None and self._reader.stage is Stage.HEAD:
            self._expect_a_head()
        else:
            self._timers.expect_request(self._config.timeout_keep_alive, self._close)

    def _forget_what_follows(self) -> None:
        self._queue = ()
        self._refusal = None
        self._held.clear()

    def _unfinished(self) -> Cycle | None:
        """The cycle whose response is being made."""
        running = self._running
        return None if running is None or running.response_complete else running

    # --- requests -----------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            reader = self._reader = RequestReader(self, self.limits)
        try:
            reader.feed(data)
        except Exception as error:
            if not isinstance(error, RequestError):
                logger.exception("A request could not be read.")
            self._refuse(error, reader)
            return
        self._mind_the_head(reader)
        if reader.stage is Stage.AFTER:
            self._close_reader()

    def _mind_the_head(self, reader: RequestReader) -> None:
        """Bound the time that an unfinished head may take."""
        waiting = reader.stage is not Stage.BODY and self._unfinished() is None
        if waiting and reader.stage is Stage.HEAD:
            self._timers.cancel_idle()
        if waiting and not self._timers.running:
            self._expect_a_head()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def on_head(self, head: RequestHead) -> None:
        """What the reader says, as do the next two."""
        self._timers.cancel_deadline()
        self._timers.cancel_idle()
        if len(self._queue) >= MAX_PIPELINED:
            raise BadRequest("Too many requests wait on this connection.")
        self.cycle = cycle = Cycle(self, head)
        scope = self._scope(head, cycle)
        if self._unfinished() is None:
            self._start(cycle, scope)
        else:
            self._queue = (*self._queue, (cycle, scope))

    def on_body(self, data: bytes) -> None:
        assert self.cycle is not None  # noqa: S101 - a body comes after its head
        self.cycle.hear(data)

    def on_end(self) -> None:
        assert self.cycle is not None  # noqa: S101
        if self.cycle.response_complete:
            self._rest_came(self.cycle)
        else:
            self.cycle.hear_end()

    def _scope(self, head: RequestHead, cycle: Cycle) -> HTTPScope:
        scope = make_scope(head, self._config, self.transport, self._app_state)
        if self.extends:
            connection: Any = ResponseTransport(cycle, self.flow, scope["client"], self.chunks)
            scope["extensions"] = {EXTENSION: connection}
        return scope

    # --- responses ----------------------------------------------------------------------------

    @property
    def default_headers(self) -> Iterable[tuple[bytes, bytes]]:
        """uvicorn renews them every second, for the date."""
        return self._state.default_headers

    def _start(self, cycle: Cycle, scope: HTTPScope) -> None:
        self._running = cycle
        context = contextvars.Context() if self._config.reset_contextvars else None
        task = self._loop.create_task(cycle.run(self._config.loaded_app, scope), context=context)
        task.add_done_callback(self._state.tasks.discard)
        self._state.tasks.add(task)

    def answered(self) -> None:
        """The running response is whole: the next request's turn, or the end."""
        self._state.total_requests += 1
        finished = self._running
        if finished is None or self.transport.is_closing():
            return
        if finished.more_body:
            self._drop_rest(finished)
            return
        if not finished.keep_alive:
            self._close()
            return
        self.flow.resume_reading()
        if not self._queue:
            if self._refusal is not None:
                self._answer(*self._refusal)
            elif self._eof:
                self._close()
            else:
                self._expect_a_request()
            return
        (cycle, scope), *behind = self._queue
        self._queue = tuple(behind)
        self._start(cycle, scope)
        if self._held and not self._queue:
            held = bytes(self._held)
            self._held.clear()
            self.data_received(held)
        if self._eof:
            self._goes_on_after_eof()

    def _drop_rest(self, finished: Cycle) -> None:
        """The response is out before the request was in: read and drop the rest, for a while."""
        self.flow.resume_reading()
        self._timers.expire_after(LINGER)
        if not finished.keep_alive:
            self._half_close()

    def _rest_came(self, finished: Cycle) -> None:
        self._timers.cancel_deadline()
        if not finished.keep_alive:
            self._close()
            return
        self._expect_a_request()

    def drop(self, cycle: Cycle) -> None:
        """Break the connection off in the middle of a response."""
        cycle.lose()
        self._forget_what_follows()
        if self.flow.write_paused:
            self.transport.abort()
            return
        self._close()

    def _refuse(self, error: BaseException, reader: RequestReader) -> None:
        """Answer for a request that never reaches the application, then hear no more."""
        self._deaf = True
        self._timers.cancel_deadline()
        running = self._unfinished()
        path = reader.url.partition(b"?")[0].decode("latin-1")
        if running is not None and not running.more_body:
            # Whole requests came before the broken one; each gets its response first.
            self._queue = tuple(each for each in self._queue if not each[0].more_body)
            self._held.clear()
            self._refusal = error, path
            return
        self._forget_what_follows()
        if running is None and reader.stage is Stage.BODY:
            self._close()  # this request was answered already, before its end
            return
        if running is not None and running.response_started:
            self.drop(running)  # an answer to this would land inside the other's body
            return
        if running is not None:
            running.lose()
        self._answer(error, path)

    def _answer(self, error: BaseException, path: str) -> None:
        status, fields, body = self.refusal(error, path)
        headers = (*self.default_headers, *fields, (b"connection", b"close"))
        lines = [b"%b: %b\r\n" % field for field in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        if self.observer is not None:
            ended = EndedRequest("", "", status, len(body), 0.0, left=False, aborted=False)
            self.observer.request_ended(ended)
        if self._eof:
            self._close()
            return
        self._half_close()
        self._timers.expire_after(LINGER)

    def _half_close(self) -> None:
        if self.transport.can_write_eof():  # TLS cannot
            self.transport.write_eof()


def make_protocol(
    limits: Limits, refusal: Refusal, observer: Observer | None = None, *, extends: bool = True
) -> type[Http1Protocol]:
    """The class for uvicorn's ``Config(http=…)``. ``observer`` hears of the requests refused here.

    ``refusal``: puts an error into words, for requests that never reach the application.

    ``extends``: offer applications the connection; else they have plain ASGI and nothing more.
    """
    members = {
        "__slots__": (),
        "limits": limits,
        "refusal": staticmethod(refusal),
        "observer": observer,
        "chunks": Chunks(),
        "extends": extends,
    }
    return type("LimitedHttp1Protocol", (Http1Protocol,), members)
