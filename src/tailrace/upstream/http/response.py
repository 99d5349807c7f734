"""Bytes of one HTTP/1.1 response in; its head, its body and its framing out. Sans-I/O.

llhttp does the grammar. What is added here:

- informational responses (1xx) are passed over, RFC 9110 §15.2; a status outside 100 to 599
  is a failure;
- how the body is framed: a body without length or chunks ends with the connection, and only
  then is an end of the connection an end of the body (RFC 9112 §6.3);
- a bound: no more than MAX_HEAD bytes in a row that are not body, be they head, informational
  responses, chunk extensions or trailers, which are all read and thrown away;
- what comes after the response (nobody asked for it) is never mistaken for a part of it.

What ``feed`` returned before a failure is good: however the bytes were cut into pieces, the
same body comes out and the same failure follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import httptools

from tailrace.contracts import Headers

# Real heads are below 16 KiB; cookies and security policies of odd proxies stay far below this.
MAX_HEAD: Final = 256 * 1024


class ResponseHead(NamedTuple):
    """The head of the final response."""

    status: int
    headers: Headers


class ResponseParser:
    """Parses one response. The ``on_…`` methods are llhttp's and nobody else's to call."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.complete = False
        """The body has ended where its framing says so."""
        self.failure = ""
        """Why this is not a response, as the rest of a sentence about the peer."""
        self.heard = False
        """At least one byte came."""
        self._keep_alive = False
        self._surplus = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._barren = 0
        self._body: list[bytes] = []
        self._body_parts = 0
        # llhttp's on_body appends without a Python frame: it is called for every token.
        self.on_body: Callable[[bytes], None] = self._body.append
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bytes:
        """Parse the next bytes; return those of the body. Never raises: see ``failure``."""
        self.heard = True
        self._barren += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse()
        parts = self._body
        body = parts.pop() if len(parts) == 1 and not self.complete else self._taken()
        if body:
            self._barren = 0
        elif self._barren > MAX_HEAD and not self.complete:
            self.failure = self.failure or f"sent more than {MAX_HEAD} bytes that are no body"
        return body

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the proper end of this body."""
        return self.head is not None and not self.failure and not _is_framed(self.head.headers)

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another exchange after this one."""
        return self.complete and self._keep_alive and not self._surplus and not self.failure

    def _refuse(self) -> None:
        if self.complete:
            self._surplus = True
        elif self.head is not None:
            self.failure = "broke the framing of its answer"
        elif not self.failure:
            self.failure = "does not speak HTTP"

    def _taken(self) -> bytes:
        parts = self._body[: self._body_parts] if self.complete else self._body
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._body.clear()
        self._body_parts = 0
        return body

    # --- called by llhttp ---

    def on_message_begin(self) -> None:
        if self.complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:
            self._fields.append((name.lower(), value))
            self._head_size += len(name) + len(value) + len(b": \r\n")

    def on_headers_complete(self) -> None:
        if self.complete or self.failure:
            return
        status = self._parser.get_status_code()
        if self._parser.get_http_version() not in {"1.0", "1.1"}:
            self.failure = "does not speak HTTP/1.1"
        elif status == 101:
            self.failure = "switched protocols, which nobody asked for"
        elif not 100 <= status <= 599:  # RFC 9110 §15; nobody could be answered with it
            self.failure = f"sent the status {status}, which HTTP does not have"
        elif self._head_size > MAX_HEAD:
            self.failure = f"sent a head of more than {MAX_HEAD} bytes"
        elif status >= 200:
            self.head = ResponseHead(status, self._fields)

    def on_message_complete(self) -> None:
        if self.head is None:  # an informational response
            self._fields = []
        elif not self.complete:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()
            self._body_parts = len(self._body)


def _is_framed(headers: Headers) -> bool:
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if codings:
        return codings[-1].lower().rstrip().endswith(b"chunked")
    return any(name == b"content-length" for name, _ in headers)
