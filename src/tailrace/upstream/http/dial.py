"""Opens connections: name lookup, TCP, a proxy's tunnel, TLS; and says why it could not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from tailrace.config.base_url import BaseUrl
from tailrace.errors import ConfigError, UpstreamUnreachable
from tailrace.upstream.http.connection import UpstreamConnection
from tailrace.upstream.http.proxy import Proxy
from tailrace.upstream.http.request_head import encode_connect
from tailrace.upstream.http.response import ResponseParser


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Verifies certificates and host names against the system's authorities, or, where a file
    is given, against those in it (PEM) alone. Raises ConfigError if the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"No certificates can be read from {ca_file}.") from error
    context.set_alpn_protocols(["http/1.1"])  # or a server may choose HTTP/2
    return context


class Dialer:
    """Opens connections to one upstream. ``tls`` is None for plain HTTP."""

    def __init__(self, url: BaseUrl, proxy: Proxy | None, tls: ssl.SSLContext | None) -> None:
        self._url = url
        self._proxy = proxy
        self._tls = tls

    async def dial(self, on_lost: Callable[[UpstreamConnection], None]) -> UpstreamConnection:
        """A connection ready for its first request. Cancelling this closes the socket at once.

        Raises UpstreamUnreachable.
        """
        connection = await self._connect(on_lost)
        try:
            if self._tls is not None:
                await self._secure(connection, self._tls)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _connect(self, on_lost: Callable[[UpstreamConnection], None]) -> UpstreamConnection:
        host = self._proxy.host if self._proxy else self._url.host
        port = self._proxy.port if self._proxy else self._url.port
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: UpstreamConnection(on_lost), host, port
            )
        except OSError as error:
            where = str(self._proxy) if self._proxy else self._url.peer
            raise UpstreamUnreachable(f"Cannot connect to {where}: {_reason(error)}.") from error
        return connection

    async def _secure(self, connection: UpstreamConnection, tls: ssl.SSLContext) -> None:
        if self._proxy is not None:
            await self._open_tunnel(connection, self._proxy)
        peer = self._url.peer
        try:
            secured = await connection.loop.start_tls(
                connection.transport, connection, tls, server_hostname=self._url.host
            )
        except ssl.SSLCertVerificationError as error:
            raise UpstreamUnreachable(
                f"The certificate of {peer} is not trusted: {error.verify_message.rstrip('.')}."
            ) from error
        except ssl.SSLError as error:
            raise UpstreamUnreachable(
                f"{peer} does not speak TLS as we do ({error.reason or 'no reason given'})."
            ) from error
        except OSError as error:
            raise UpstreamUnreachable(
                f"{peer} closed the connection in the TLS handshake."
            ) from error
        if secured is None:  # the peer left between the handshake's last byte and now
            raise UpstreamUnreachable(f"{peer} closed the connection in the TLS handshake.")
        connection.transport = secured

    async def _open_tunnel(self, connection: UpstreamConnection, proxy: Proxy) -> None:
        tunnel = _Tunnel(connection.loop.create_future())
        connection.carry(tunnel, encode_connect(self._url, proxy))
        status = await tunnel.status
        if not 200 <= status < 300:
            answer = f"with status {status}" if status else "by closing the connection"
            raise UpstreamUnreachable(f"{proxy} refused a tunnel to {self._url.peer} {answer}.")
        connection.put_down()


class _Tunnel:
    """Waits for a proxy's answer to CONNECT. ``status`` is 0 where there was none."""

    def __init__(self, status: asyncio.Future[int]) -> None:
        self.status = status
        self._parser = ResponseParser()

    def received(self, data: bytes) -> None:
        surplus = self._parser.feed(data)
        head = self._parser.head
        if head is not None and not (surplus and head.status < 300):
            self._tell(head.status)
        elif head is not None or self._parser.failure:
            self._tell(0)  # in TLS the client speaks first: this proxy talks in another's name

    def lost(self, clean: bool) -> None:  # noqa: ARG002  either way there is no tunnel
        self._tell(0)

    def _tell(self, status: int) -> None:
        if not self.status.done():
            self.status.set_result(status)


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (error.strerror or str(error)).rstrip(".")
