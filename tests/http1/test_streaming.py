"""Bodies written straight to the transport: framing, backpressure, leaving, whose they are."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tailrace.http1.response import Chunks
from tailrace.web.access_log import AccessLog
from tailrace.web.outcome import Outcome
from tailrace.web.sinks import TransportSink
from tests.http1.http1_harness import (
    App,
    LoopFactory,
    connection_of,
    loop_factories,
    run,
    serving,
    start,
    until,
    write,
)

each_loop = pytest.mark.parametrize("loop", loop_factories())
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Reader:
    """Whoever writes, and what it hears."""

    def __init__(self) -> None:
        self.room = 0
        self.gone = False

    def writable(self) -> None:
        self.room += 1

    def lost(self) -> None:
        self.gone = True


async def two_pieces(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    connection = connection_of(scope)
    connection.stream_to(Reader())
    assert connection.write(b"one ")
    assert connection.write(b"two")
    assert connection.written == 7
    connection.stream_to(None)
    await write(send, b"", more=False)


@each_loop
def test_each_write_is_a_chunk_and_the_end_goes_through_send(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(two_pieces) as served:
            response = await served.ask(GET_AND_CLOSE)
            assert response.body == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"

    run(loop, test())


@each_loop
def test_http_1_0_gets_the_bytes_until_close(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(two_pieces) as served:
            response = await served.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert response.body == b"one two"

    run(loop, test())


@each_loop
@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        (b"HEAD", 200, ()),
        (b"GET", 204, ()),
        (b"GET", 304, ()),
        (b"GET", 200, ((b"content-length", b"0"),)),
    ],
)
def test_what_has_no_open_body_cannot_be_streamed_to(
    loop: LoopFactory, method: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    refused = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, *headers, status=status)
        try:
            connection_of(scope).stream_to(Reader())
        except RuntimeError as error:
            refused.append(error)
        await write(send, b"", more=False)

    async def test() -> None:
        async with serving(app) as served:
            response = await served.ask(method + GET_AND_CLOSE[3:])
            assert response.status == status
            assert len(refused) == 1

    run(loop, test())


@each_loop
def test_nothing_can_be_streamed_before_the_head_or_after_the_end(loop: LoopFactory) -> None:
    refused = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for step in (start(send), write(send, b"x", more=False), None):
            try:
                connection_of(scope).stream_to(Reader())
                connection_of(scope).stream_to(None)
            except RuntimeError:
                refused.append(step is None)
            if step is not None:
                await step

    async def test() -> None:
        async with serving(app) as served:
            assert (await served.ask(GET_AND_CLOSE)).body == b"1\r\nx\r\n0\r\n\r\n"
            assert refused == [False, True]

    run(loop, test())


def filling(reader: Reader, full: asyncio.Event) -> App:
    """Writes until the transport has enough, and goes on when it has room."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        connection = connection_of(scope)
        connection.stream_to(reader)
        while connection.write(b"x" * 8192):
            await asyncio.sleep(0)
        full.set()
        await until(lambda: reader.room > 0 or reader.gone)
        connection.stream_to(None)
        await write(send, b"", more=False)

    return app


@each_loop
def test_a_full_transport_says_so_and_says_when_it_has_room(loop: LoopFactory) -> None:
    reader, full = Reader(), asyncio.Event()

    async def test() -> None:
        async with serving(filling(reader, full)) as served, served.client() as client:
            await client.send(GET_AND_CLOSE)
            await full.wait()
            assert reader.room == 0
            response = await client.everything()
            assert response.raw.endswith(b"\r\n0\r\n\r\n")
            assert reader.room == 1
            assert not reader.gone

    run(loop, test())


@each_loop
def test_a_writer_hears_that_its_client_left_also_while_the_transport_is_full(
    loop: LoopFactory,
) -> None:
    reader, full = Reader(), asyncio.Event()

    async def test() -> None:
        async with serving(filling(reader, full)) as served:
            client = socket.create_connection(("127.0.0.1", served.port))
            client.sendall(GET)
            await full.wait()
            client.close()
            await until(lambda: reader.gone)

    run(loop, test())


@each_loop
def test_a_pipelined_request_does_not_get_the_bytes_of_the_one_before(loop: LoopFactory) -> None:
    behind = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        connection = connection_of(scope)
        connection.stream_to(Reader())
        if scope["path"] == "/first":
            await behind.wait()
        connection.write(scope["path"].encode())
        connection.stream_to(None)
        await write(send, b"", more=False)

    async def test() -> None:
        async with serving(app) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
            writer.write(b"GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await until(lambda: len(served.scopes) == 1)
            behind.set()
            raw = await reader.read()
            writer.close()
            assert raw.count(b"HTTP/1.1 200") == 2
            assert raw.index(b"/first") < raw.rindex(b"HTTP/1.1 200") < raw.index(b"/second")

    run(loop, test())


# --- after the request's task -----------------------------------------------------------------


def leaving(reader: Reader) -> App:
    """Returns at once, and leaves its response to ``reader``; answers /whole by itself."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        if scope["path"] == "/whole":
            await write(send, b"whole", more=False)
        else:
            connection_of(scope).stream_to(reader)

    return app


@each_loop
def test_a_response_outlives_its_task_until_its_reader_ends_it(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(leaving(Reader())) as served, served.client() as client:
            await client.send(GET)
            await client.head()
            await served.idle()
            connection = connection_of(served.scopes[0])
            assert connection.write(b"late")
            assert connection.end()
            assert await client.reader.readexactly(14) == b"4\r\nlate\r\n0\r\n\r\n"
            await client.send(b"GET /whole HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert (await client.everything()).body == b"5\r\nwhole\r\n0\r\n\r\n"

    run(loop, test())


@each_loop
def test_a_request_behind_such_a_response_is_answered_after_it(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(leaving(Reader())) as served, served.client() as client:
            await client.send(GET)
            await client.head()
            await served.idle()
            await client.send(b"GET /whole HTTP/1.1\r\nConnection: close\r\n\r\n")
            connection = connection_of(served.scopes[0])
            connection.write(b"first")
            assert await client.reader.readexactly(10) == b"5\r\nfirst\r\n"
            assert len(served.scopes) == 1
            connection.end()
            assert (await client.everything()).raw.startswith(b"0\r\n\r\nHTTP/1.1 200")

    run(loop, test())


@each_loop
def test_a_reader_hears_that_its_client_left_when_the_task_is_long_over(loop: LoopFactory) -> None:
    reader = Reader()

    async def test() -> None:
        async with serving(leaving(reader)) as served:
            async with served.client() as client:
                await client.send(GET)
                await client.head()
                await served.idle()
            await until(lambda: reader.gone)
            connection = connection_of(served.scopes[0])
            assert not connection.write(b"late")
            assert not connection.end()

    run(loop, test())


def finishing(lines: list[str], full: asyncio.Event, *, whole: bool, patience: float = 60) -> App:
    """Fills its client through a sink of ours, and finishes."""
    log = AccessLog(lines.append)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        sink = TransportSink(connection_of(scope), Outcome(log, "GET"), patience)
        sink.follow(Reader())
        while sink.write(b"x" * 8192):
            await asyncio.sleep(0)
        sink.finish(whole)
        full.set()

    return app


@each_loop
def test_the_end_for_a_full_client_waits_until_that_has_read(loop: LoopFactory) -> None:
    lines: list[str] = []
    full = asyncio.Event()

    async def test() -> None:
        async with serving(finishing(lines, full, whole=True)) as served, served.client() as client:
            await client.send(GET_AND_CLOSE)
            await full.wait()
            assert lines == []
            assert (await client.everything()).raw.endswith(b"x\r\n0\r\n\r\n")
            assert lines[0].endswith("ms")

    run(loop, test())


@each_loop
def test_a_client_that_reads_nothing_of_the_end_is_dropped_in_its_time(loop: LoopFactory) -> None:
    """It was waited for without end: the clock for a client that does not read was its cursor's,
    and that was done."""
    lines: list[str] = []
    full = asyncio.Event()

    async def test() -> None:
        app = finishing(lines, full, whole=True, patience=0.1)
        async with serving(app) as served, served.client() as client:
            await client.send(GET_AND_CLOSE)
            await full.wait()
            assert lines == []
            await until(lambda: bool(lines))
            assert lines[0].endswith("aborted")
            assert not (await client.everything()).raw.endswith(b"0\r\n\r\n")

    run(loop, test())


@each_loop
def test_a_full_client_whose_body_is_to_be_cut_is_not_waited_for(loop: LoopFactory) -> None:
    lines: list[str] = []
    full = asyncio.Event()

    async def test() -> None:
        async with (
            serving(finishing(lines, full, whole=False)) as served,
            served.client() as client,
        ):
            await client.send(GET_AND_CLOSE)
            await full.wait()
            assert lines[0].endswith("aborted")
            await until(lambda: not served.state.connections)

    run(loop, test())


def test_equal_bytes_are_framed_alike_and_different_ones_are_not() -> None:
    chunks = Chunks()
    assert chunks.frame(b"abc") == b"3\r\nabc\r\n"
    assert chunks.frame(b"de") == b"2\r\nde\r\n"
    assert chunks.frame(b"abc") == b"3\r\nabc\r\n"
