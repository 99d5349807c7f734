"""Our protocol class on real loopback sockets, under either event loop, spoken to in raw bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from tailrace.contracts import EXTENSION, Connection, Observer
from tailrace.http1.protocol import Limits, make_protocol
from tailrace.web.error_responses import problem

PATIENCE = 20.0
"""Seconds until a wait that should be short fails its test."""

DEFAULTS = Limits()

App = Callable[[Any, Any, Any], Awaitable[None]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factories() -> list[Any]:
    factories = [pytest.param(asyncio.new_event_loop, id="asyncio")]
    try:
        import uvloop
    except ImportError:
        return factories
    return [*factories, pytest.param(uvloop.new_event_loop, id="uvloop")]


def run(factory: LoopFactory, test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await test

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(bounded())


@dataclass
class Served:
    """A listening server."""

    port: int
    state: ServerState
    scopes: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()

    async def ask(self, *pieces: bytes) -> Response:
        """Send on a connection of its own, in several reads, until the server closes it."""
        async with self.client() as client:
            for piece in pieces:
                await client.send(piece)
                for _ in range(4):  # turns of the loop: the server reads what has come
                    await asyncio.sleep(0)
            return await client.everything()

    @property
    def connection(self) -> Any:
        (connection,) = self.state.connections
        return connection

    @property
    def transport(self) -> Any:
        return self.connection.transport

    async def idle(self) -> None:
        """Wait until every request's task is over."""
        while self.state.tasks:
            await asyncio.wait(set(self.state.tasks))


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def everything(self) -> Response:
        return Response(await self.reader.read())

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")


@dataclass
class Response:
    raw: bytes

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        lines = self.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]

    def field(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@asynccontextmanager
async def serving(
    app: App,
    limits: Limits = DEFAULTS,
    observer: Observer | None = None,
    *,
    keepalive_timeout: float = 75.0,
) -> AsyncIterator[Served]:
    state = ServerState()
    scopes: list[dict[str, Any]] = []

    async def recorded(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await app(scope, receive, send)

    config = Config(
        recorded,
        http=make_protocol(limits, problem, observer),
        ws="none",
        lifespan="off",
        log_config=None,
    )
    config.load()
    config.timeout_keep_alive = keepalive_timeout  # type: ignore[assignment]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=state, app_state={}, _loop=loop
        ),
        "127.0.0.1",
        0,
    )
    try:
        yield Served(server.sockets[0].getsockname()[1], state, scopes)
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await server.wait_closed()


def connection_of(scope: Any) -> Connection:
    found: Connection = scope["extensions"][EXTENSION]
    return found


async def read_all(receive: Any) -> bytes | None:
    """The body, or None where the client left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def start(send: Any, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def write(send: Any, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers ``<method> <path> <body>`` with its length, after the whole request."""
    body = await read_all(receive)
    if body is None:
        return
    answer = f"{scope['method']} {scope['path']} ".encode() + body
    await start(send, (b"content-length", b"%d" % len(answer)))
    await write(send, answer, more=False)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what tells nobody when it happens."""
    while not condition():
        await asyncio.sleep(0.002)
