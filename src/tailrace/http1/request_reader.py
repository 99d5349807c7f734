"""Requests read from bytes, as they come; sans-I/O.

A reader is needed while a request is being read and not after that. httptools' parser alone is
0.9 KB, and a viewer of a stream in which nothing happens needs 3.4 KB in all.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final, NamedTuple, Protocol

import httptools

from tailrace.errors import BadRequest
from tailrace.http1.head_limits import HeadMeter, Limits
from tailrace.http1.request_target import RequestTarget, parse_target, percent_encode_line

_FRAMING: Final = (b"content-length", b"transfer-encoding")
_NOBODY: Final = object()
"""What a parser calls back that only judges."""


class RequestHead(NamedTuple):
    """A request, but for its body."""

    method: str
    modern: bool
    """HTTP/1.1; else 1.0."""
    target: RequestTarget
    headers: list[tuple[bytes, bytes]]
    """Names in lower case. An authority in the target has replaced the Host field."""
    keep_alive: bool
    """Whether the client wants the connection kept; in HTTP/1.0 it never is."""
    expects_continue: bool
    """Whether the body comes only after "100 Continue" (RFC 9110 §10.1.1)."""


class RequestReceiver(Protocol):
    """Who is told of requests: the connection. What ``on_head`` raises, ``feed`` raises."""

    def on_head(self, head: RequestHead) -> None:
        """A request has come, but for its body."""
        ...

    def on_body(self, data: bytes) -> None:
        """Some of its body."""
        ...

    def on_end(self) -> None:
        """It is whole."""
        ...


class Stage(Enum):
    """Where a reader stands."""

    BEFORE = auto()
    HEAD = auto()
    BODY = auto()
    AFTER = auto()


class RequestReader:
    """Reads one request, and those that came in the same bytes behind it."""

    __slots__ = (
        "_expects_continue", "_headers", "_line_open", "_meter", "_parser", "_receiver",
        "_replaying", "stage", "url",
    )  # fmt: skip

    def __init__(self, receiver: RequestReceiver, limits: Limits) -> None:
        self._receiver = receiver
        self._meter = HeadMeter(limits)
        self._parser: Any = None
        self._make_parser()
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = False
        self._line_open = True  # the request line has not been seen to its end
        self._replaying = False
        self.stage = Stage.BEFORE
        self.url = b""
        """The target, as far as it has come."""

    def _make_parser(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def close(self) -> None:
        """Nothing more is fed. Parser and reader hold each other, and this lets both go."""
        self._parser = None

    def feed(self, data: bytes) -> None:
        """Read on. Raises BadRequest, UriTooLong, HeadersTooLarge, or what ``on_head`` raised."""
        if self.stage is not Stage.BODY and self._line_open:
            data, ended = percent_encode_line(data)
            self._line_open = not ended
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as declined:
            rest = data[declined.args[0] :]
        except httptools.HttpParserError as broken:
            raise self._cause(broken) from None
        else:
            self._meter.read(len(data))
            return
        self._decline_upgrade()
        if rest:
            self.feed(rest)

    @staticmethod
    def _cause(broken: httptools.HttpParserError) -> BaseException:
        """What a callback raised, or else that this is not HTTP."""
        cause: BaseException | None = broken.__context__
        if isinstance(broken, httptools.HttpParserCallbackError) and cause is not None:
            if not isinstance(cause, httptools.HttpParserError):
                return cause
            broken = cause
        return BadRequest(f"This is not valid HTTP/1.1 ({broken}).")

    def _decline_upgrade(self) -> None:
        """Read on as HTTP/1.1, which RFC 9110 §7.8 lets a server do.

        httptools takes a body behind ``Upgrade`` for another protocol's bytes. A new parser
        is given the framing fields alone and continues with the body.
        """
        self._make_parser()
        self._replaying = True
        self._parser.feed_data(self._framing())

    def _framing(self) -> bytes:
        """A head that has of this one what says where the body ends."""
        lines = [b"%b: %b\r\n" % field for field in self._headers if field[0] in _FRAMING]
        return b"POST / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n"

    # --- the parser's callbacks ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._replaying:
            return
        self.url = b""
        self._headers = []
        self._expects_continue = False
        self.stage = Stage.HEAD
        self._meter.restart()

    def on_url(self, url: bytes) -> None:
        if self._replaying:
            return
        self.url += url
        self._meter.target(len(self.url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._replaying:
            return
        self._meter.field(name, value)
        if self.stage is not Stage.HEAD:  # a trailer, which must not pass for a header
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._replaying:
            self._replaying = False
            return
        head = self._head()
        if self._parser.should_upgrade():
            # The framing of such a request is not looked at, and the application must not be
            # asked before it was.
            httptools.HttpRequestParser(_NOBODY).feed_data(self._framing())
        self.stage = Stage.BODY
        self._meter.restart()
        self._receiver.on_head(head)

    def _head(self) -> RequestHead:
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise BadRequest(f"HTTP/{version} is not spoken here; use HTTP/1.1.")
        target = parse_target(self.url)
        headers = self._headers
        if target.authority is not None:
            headers = [field for field in headers if field[0] != b"host"]
            headers.append((b"host", target.authority))
        modern = version == "1.1"
        return RequestHead(
            method=self._parser.get_method().decode("ascii"),
            modern=modern,
            target=target,
            headers=headers,
            keep_alive=modern and self._parser.should_keep_alive(),
            expects_continue=modern and self._expects_continue,
        )

    def on_body(self, body: bytes) -> None:
        self._meter.hear()
        self._receiver.on_body(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():  # the body, if any, is read by another parser
            return
        self.stage = Stage.AFTER
        self._line_open = True
        self._meter.restart()
        self._receiver.on_end()
