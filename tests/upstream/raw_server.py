"""A scripted upstream that speaks bytes, and a receiver that remembers what it was told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tailrace.contracts import BodyEnd, Call, UpstreamRequest
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.http.http_client import HttpUpstream

ASK = UpstreamRequest("POST", "/chat/completions", [(b"content-type", b"application/json")], b"{}")


class Peer:
    """One client's connection, as a script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request's head; its body is read and dropped."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await self.reader.readexactly(int(line.partition(b":")[2]))
        return head

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def left(self) -> None:
        """Return when the client has closed the connection, in whatever way."""
        with suppress(ConnectionError):
            await self.reader.read()

    def cut(self) -> None:
        """Close the TCP connection without a word of TLS."""
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class RawServer:
    def __init__(self, script: Script) -> None:
        self.port = 0
        self.accepted = 0
        self.failures: list[Exception] = []
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        try:
            await self._script(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        except Exception as failure:
            self.failures.append(failure)
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Run ``script`` on every connection; a script that fails fails the test."""
    server = RawServer(script)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.stop()
        await listener.wait_closed()
    assert not server.failures, server.failures


def answering(response: bytes) -> Script:
    """A script that gives the same answer to each request, on a connection it keeps."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(response)

    return script


def cutting(response: bytes) -> Script:
    """A script that answers once and closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(response)

    return script


class Recorder:
    """A receiver."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.ends: list[BodyEnd] = []
        self.on_data: Callable[[bytes], None] = lambda chunk: None
        self._changed = asyncio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def data(self, chunk: bytes) -> None:
        assert not self.ends, "data after the end"
        self.chunks.append(chunk)
        self.on_data(chunk)
        self._changed.set()

    def end(self, how: BodyEnd) -> None:
        self.ends.append(how)
        self._changed.set()

    def has_more_than(self, chunks: int) -> bool:
        """Whether something happened since there were so many chunks."""
        return len(self.chunks) > chunks or bool(self.ends)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def ended(self) -> BodyEnd:
        await self.until(lambda: bool(self.ends))
        assert len(self.ends) == 1, "the end was told more than once"
        return self.ends[0]


async def taken(call: Call) -> tuple[bytes, BodyEnd]:
    """The whole body, and how it ended."""
    receiver = Recorder()
    call.stream(receiver)
    how = await receiver.ended()
    return receiver.body, how


@asynccontextmanager
async def using(upstream: HttpUpstream) -> AsyncIterator[HttpUpstream]:
    """Close the client in the end."""
    try:
        yield upstream
    finally:
        await upstream.close()


@asynccontextmanager
async def asking(
    script: Script, *, api_key: str | None = None, clocks: Clocks | None = None
) -> AsyncIterator[tuple[HttpUpstream, RawServer]]:
    """A client of a scripted upstream."""
    async with serving(script) as server:
        client = HttpUpstream(server.url, api_key=api_key, clocks=clocks)
        async with using(client) as upstream:
            yield upstream, server
