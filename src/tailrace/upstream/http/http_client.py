"""The upstream as the relay sees it: a base URL, a key, a pool of connections."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

from tailrace.config.base_url import parse_base_url
from tailrace.contracts import Upload, UpstreamRequest
from tailrace.errors import ConfigError, UpstreamUnreachable
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.http.connection import UpstreamConnection
from tailrace.upstream.http.dial import Dialer, tls_context
from tailrace.upstream.http.exchange import UpstreamExchange
from tailrace.upstream.http.pool import Pool
from tailrace.upstream.http.proxy import choose_proxy
from tailrace.upstream.http.request_head import Auth, RequestEncoder
from tailrace.upstream.http.upload import send_upload
from tailrace.wire.redaction import Redactor

_KEY: Final = re.compile(r"[!-~]+")
# Bytes of a body that are copied behind the head: as many as a chat has, and cheaper than a write.
_JOINED: Final = 64 * 1024


class HttpUpstream:
    """``contracts.Upstream`` over HTTP/1.1, plain or TLS.

    ``base_url`` is what SDKs take (``http://127.0.0.1:11434/v1``); ``auth`` is how the key is
    shown; ``environ`` is where the proxy variables are looked up, none by default; ``tls`` is
    used for ``https`` only, by default ``tls_context()``. Redirects are not followed and bodies
    are not decompressed.

    Raises ConfigError where the URL, the key or the proxy variable that applies is malformed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        auth: Auth = "bearer",
        clocks: Clocks | None = None,
        tls: ssl.SSLContext | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        url = parse_base_url(base_url)
        if api_key is not None and not _KEY.fullmatch(api_key):
            raise ConfigError("The upstream's key is empty or holds a space or an odd character.")
        proxy = choose_proxy(url, environ or {})
        if url.scheme == "https":
            tls = tls or tls_context()
        self._url = url
        key = None if api_key is None else api_key.encode("ascii")
        self.redact: Final = Redactor(() if key is None else (key,))
        self._clocks = clocks or Clocks()
        self._encoder = RequestEncoder(url, key, proxy, auth)
        self._dialer = Dialer(url, proxy, tls if url.scheme == "https" else None)
        self._pool = Pool()
        self._connections: set[UpstreamConnection] = set()
        self._closed = False

    @property
    def base_url(self) -> str:
        return str(self._url)

    async def ask(self, request: UpstreamRequest) -> UpstreamExchange:
        """As in the contract; besides, raises BadRequest where a header or the path holds what
        HTTP forbids.
        """
        head = self._encoder.encode(request)
        ends_at = asyncio.get_running_loop().time() + self._clocks.total
        body = request.body
        if not isinstance(body, bytes):
            return await self._upload(head, body, ends_at)
        # Joined where that saves a write; a long body is not copied for it.
        message = (head + body,) if len(body) <= _JOINED else (head, body)
        pooled = self._pool.take()
        if pooled is not None:
            try:
                return await self._ask_on(pooled, message, ends_at)
            except UpstreamUnreachable:
                # Not one byte came: the peer had closed the idle connection before it saw the
                # request, as llama.cpp does without a word. Asking once more is safe; after a
                # byte, or on a connection of its own, it might be paid for twice.
                pass
        return await self._ask_on(await self._connect(ends_at), message, ends_at)

    async def close(self) -> None:
        """Close every connection and wait until their sockets are. Running exchanges are cut."""
        self._closed = True
        self._pool.close()
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.gone for connection in connections))

    async def _ask_on(
        self, connection: UpstreamConnection, message: Sequence[bytes], ends_at: float
    ) -> UpstreamExchange:
        peer, clocks = self._url.peer, self._clocks
        exchange = UpstreamExchange(connection, peer, clocks, ends_at, self._pool.put)
        try:
            async with clocks.limit("first_byte", ends_at, peer):
                await exchange.ask(message)
        except BaseException:
            exchange.cancel()
            raise
        return exchange

    async def _upload(self, head: bytes, upload: Upload, ends_at: float) -> UpstreamExchange:
        """On a fresh connection: what was read of an upload cannot be sent a second time."""
        connection = await self._connect(ends_at)
        peer, clocks = self._url.peer, self._clocks
        exchange = UpstreamExchange(connection, peer, clocks, ends_at, self._pool.put)
        sending = send_upload(connection, upload, clocks.silence, peer)
        try:
            async with clocks.limit("total", ends_at, peer):
                await exchange.upload(head, sending)
            async with clocks.limit("first_byte", ends_at, peer):
                await exchange.answered()
        except BaseException:
            exchange.cancel()
            raise
        return exchange

    async def _connect(self, ends_at: float) -> UpstreamConnection:
        async with self._clocks.limit("connect", ends_at, self._url.peer):
            connection = await self._dialer.dial(self._connections.discard)
        self._connections.add(connection)
        if self._closed:
            connection.abort()
            raise UpstreamUnreachable(
                f"Connections to {self._url.peer} are closed: we are leaving."
            )
        return connection
