"""A client that closes its side of the connection: what is short is answered, a stream is left."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.http1.http1_harness import (
    App,
    LoopFactory,
    Response,
    Served,
    connection_of,
    echo,
    loop_factories,
    read_all,
    run,
    serving,
    start,
    until,
    write,
)
from tests.http1.test_streaming import Reader

each_loop = pytest.mark.parametrize("loop", loop_factories())
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LONG = 300_000


def post(length: int, sent: bytes) -> bytes:
    return b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length + sent


async def sent_and_closed(served: Served, *pieces: bytes) -> Response:
    """What comes for requests behind which the client closes its side, until the server closes."""
    async with served.client() as client:
        for piece in pieces:
            await client.send(piece)
        client.writer.write_eof()
        return await client.everything()


@each_loop
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
def test_a_short_response_is_sent_whole_to_who_closed_their_side(
    loop: LoopFactory, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As ``nc -N`` does, and as some load balancers do behind a health check."""

    async def test() -> None:
        go_on = asyncio.Event()
        if at_once:
            go_on.set()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            body = await read_all(receive)
            await go_on.wait()
            answer = (body or b"") * 10  # which no socket takes at once
            await start(send, (b"content-length", b"%d" % len(answer)))
            await write(send, answer, more=False)

        async with serving(app) as served:
            asking = asyncio.ensure_future(sent_and_closed(served, post(LONG, b"b" * LONG)))
            await until(lambda: bool(served.scopes) and is_closed_by_client(served))
            go_on.set()
            answer = await asking
            assert answer.body == b"b" * (10 * LONG)
            await until(lambda: not served.state.connections)

    with caplog.at_level(logging.WARNING):
        run(loop, test())
    assert caplog.records == []


def is_closed_by_client(served: Served) -> bool:
    connections: set[Any] = served.state.connections
    return not connections or any(connection._eof for connection in connections)


@each_loop
def test_requests_sent_together_are_all_answered_before_the_connection_goes(
    loop: LoopFactory,
) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await go_on.wait()
            await echo(scope, receive, send)

        async with serving(app) as served:
            asking = asyncio.ensure_future(
                sent_and_closed(served, GET + GET, post(4, b"last"), post(4, b"cut"))
            )
            await until(lambda: bool(served.scopes) and is_closed_by_client(served))
            go_on.set()
            raw = (await asking).raw
            assert raw.count(b"HTTP/1.1 200") == 3
            assert raw.endswith(b"POST /p last")
            await until(lambda: not served.state.connections)

    run(loop, test())


async def one_reader(scope: Any, receive: Any, send: Any) -> None:
    """A stream, written by somebody else from now on, who never ends it."""
    await read_all(receive)
    await start(send)
    reader = scope["readers"]
    connection_of(scope).stream_to(reader)
    connection_of(scope).write(b"begun")


def with_reader(reader: Reader, app: App) -> App:
    async def given(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "readers": reader}, receive, send)

    return given


@each_loop
@pytest.mark.parametrize("length", [0, LONG], ids=["small", "large"])
def test_who_reads_a_stream_and_closes_their_side_has_left(loop: LoopFactory, length: int) -> None:
    """A large request does not hide it: reading was paused for its body."""

    async def test() -> None:
        reader = Reader()
        async with serving(with_reader(reader, one_reader)) as served:
            async with served.client() as client:
                await client.send(post(length, b"b" * length))
                await client.reader.readuntil(b"begun")
                assert not reader.gone
                client.writer.write_eof()
                await until(lambda: reader.gone)
                rest = await client.reader.read()
                assert b"0\r\n\r\n" not in rest  # it was not the stream's end
            await until(lambda: not served.state.connections)

    run(loop, test())


@each_loop
def test_a_stream_that_begins_behind_a_closed_side_is_left_at_once(loop: LoopFactory) -> None:
    async def test() -> None:
        reader, go_on = Reader(), asyncio.Event()

        async def late(scope: Any, receive: Any, send: Any) -> None:
            await go_on.wait()
            await one_reader(scope, receive, send)

        async with serving(with_reader(reader, late)) as served:
            asking = asyncio.ensure_future(sent_and_closed(served, GET))
            await until(lambda: bool(served.scopes) and is_closed_by_client(served))
            go_on.set()
            await until(lambda: reader.gone)
            await asking
            await until(lambda: not served.state.connections)

    run(loop, test())


@each_loop
@pytest.mark.parametrize("before", [True, False], ids=["asked before", "asks later"])
def test_an_application_that_asks_whether_the_client_is_there_hears_that_it_left(
    loop: LoopFactory, before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        go_on, heard = asyncio.Event(), asyncio.Event()
        if before:
            go_on.set()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert await read_all(receive) == b"body"
            await go_on.wait()
            assert (await receive())["type"] == "http.disconnect"
            heard.set()
            await start(send)  # to nobody
            await write(send, b"late", more=False)

        async with serving(app) as served:
            asking = asyncio.ensure_future(sent_and_closed(served, post(4, b"body")))
            await until(lambda: bool(served.scopes) and is_closed_by_client(served))
            go_on.set()
            await heard.wait()
            assert (await asking).raw == b""
            await until(lambda: not served.state.connections)

    with caplog.at_level(logging.WARNING):
        run(loop, test())
    assert caplog.records == []


@each_loop
def test_a_request_that_was_cut_is_answered_by_nobody(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            for piece in (b"GET / HT", post(10, b"half")):
                assert (await sent_and_closed(served, piece)).raw == b""
            await until(lambda: not served.state.connections)
            await served.idle()

    run(loop, test())


@each_loop
def test_between_requests_a_closed_side_closes_the_connection(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served, served.client() as client:
            await client.send(GET)
            await client.reader.readuntil(b"GET / ")
            client.writer.write_eof()
            assert await client.reader.read() == b""
            await until(lambda: not served.state.connections)

    run(loop, test())


@each_loop
def test_who_closed_their_side_and_reads_nothing_of_a_stream_has_left_all_the_same(
    loop: LoopFactory,
) -> None:
    async def test() -> None:
        reader = Reader()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            connection_of(scope).stream_to(reader)
            while connection_of(scope).write(b"p" * 16_384):
                pass

        async with serving(app) as served, served.client() as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(GET)
            await until(lambda: bool(served.scopes))
            client.writer.write_eof()
            await until(lambda: reader.gone)

    run(loop, test())


@each_loop
def test_a_reader_whose_request_has_a_body_that_nobody_reads_is_seen_to_leave(
    loop: LoopFactory,
) -> None:
    async def test() -> None:
        reader = Reader()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await until(lambda: not served.transport.is_reading())
            await start(send)
            connection_of(scope).stream_to(reader)

        async with serving(app) as served, served.client() as client:
            await client.send(post(1_000_000, bytes(999_999)))
            client.writer.write_eof()
            await until(lambda: reader.gone)

    run(loop, test())
