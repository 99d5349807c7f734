"""The bytes of a request's head, from values. Sans-I/O.

What comes from a client is checked here once more, however well the server that took it
checked it: one CR in a value would let a stranger write the next request on a connection that
carries our key (RFC 9112 §11.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from tailrace.config.base_url import BaseUrl
from tailrace.contracts import Headers, UpstreamRequest
from tailrace.errors import BadRequest
from tailrace.upstream.http.proxy import Proxy
from tailrace.wire.llm import credentials

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
# RFC 9110 §5.5: visible characters, obs-text, space and tab; no control character.
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_TARGET: Final = re.compile(r"/[!-\"$-~]*")  # visible ASCII but for #

# These belong to the connection (RFC 9110 §7.6.1) or are ours to say; a caller's are dropped.
_OURS: Final = frozenset(
    {
        b"accept-encoding",  # compressed tokens would wait in the upstream's compressor
        b"connection",
        b"content-length",
        b"expect",  # we do not wait for 100 (Continue)
        b"host",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# How a key of ours is shown. Whatever of these the client sent is not for an upstream whose key
# we have: one of its own would be spent there, or contradict ours.
Auth: TypeAlias = Literal["bearer", "x-api-key", "api-key"]
"""The field that carries a key, by its short name."""

_AUTH: Final[dict[Auth, bytes]] = {
    "bearer": b"authorization: Bearer ",
    "x-api-key": b"x-api-key: ",
    "api-key": b"api-key: ",
}


@dataclass(frozen=True, slots=True)
class RequestEncoder:
    """Encodes requests to one upstream."""

    url: BaseUrl
    api_key: bytes | None = field(default=None, repr=False)
    proxy: Proxy | None = None
    auth: Auth = "bearer"

    def encode(self, request: UpstreamRequest) -> bytes:
        """The head of the request, which its body follows.

        Raises BadRequest where a field or the path would break the head's grammar, and
        ValueError for HEAD and CONNECT, whose responses are framed unlike all others.
        """
        if request.method in {"HEAD", "CONNECT"}:
            raise ValueError(f"{request.method} is not asked of a model API")
        lines = [self._request_line(request), b"host: " + self.url.authority.encode()]
        lines += self._fields(request.headers)
        lines.append(b"accept-encoding: identity")
        if self.api_key is not None:
            lines.append(_AUTH[self.auth] + self.api_key)
        if self._speaks_to_proxy and self.proxy is not None and self.proxy.authorization:
            lines.append(b"proxy-authorization: " + self.proxy.authorization)
        body = request.body
        if not isinstance(body, bytes):
            lines.append(_framing(body.length))
        elif body or request.method != "GET":
            lines.append(_framing(len(body)))
        return b"\r\n".join([*lines, b"", b""])

    @property
    def _speaks_to_proxy(self) -> bool:
        """Requests to ``https`` upstreams travel inside a tunnel: the proxy never sees them."""
        return self.proxy is not None and self.url.scheme == "http"

    def _request_line(self, request: UpstreamRequest) -> bytes:
        method = request.method.encode("ascii", "replace")
        if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(request.path):
            raise BadRequest("The request's method or path holds characters that HTTP forbids.")
        target = f"{self.url.path}{request.path}"
        if self._speaks_to_proxy:  # RFC 9112 §3.2.2
            target = f"http://{self.url.authority}{target}"
        return b"%s %s HTTP/1.1" % (method, target.encode())

    def _fields(self, headers: Headers) -> list[bytes]:
        lines = []
        for name, value in headers:
            lowered = name.lower()
            if lowered in _OURS or (lowered in credentials.FIELDS and self.api_key is not None):
                continue
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise BadRequest("A header field holds characters that HTTP forbids.")
            lines.append(lowered + b": " + value)
        return lines


def _framing(length: int | None) -> bytes:
    """How the body is delimited (RFC 9112 §6.3)."""
    return b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length


def encode_connect(url: BaseUrl, proxy: Proxy) -> bytes:
    """The request for a tunnel to ``url`` through ``proxy`` (RFC 9110 §9.3.6)."""
    peer = url.peer.encode()
    head = b"CONNECT %s HTTP/1.1\r\nhost: %s\r\n" % (peer, peer)
    if proxy.authorization is not None:
        head += b"proxy-authorization: %s\r\n" % proxy.authorization
    return head + b"\r\n"
