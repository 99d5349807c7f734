"""Framing, connections, breaking off: what leaves, and who learns of what."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from tests.http1.http1_harness import (
    App,
    LoopFactory,
    connection_of,
    echo,
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


def answering(*headers: tuple[bytes, bytes], status: int = 200) -> App:
    """An application that streams two pieces."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, *headers, status=status)
        await write(send, b"one ")
        await write(send, b"two", more=False)

    return app


# --- framing ----------------------------------------------------------------------------------


@each_loop
def test_a_body_of_unknown_length_is_chunked_for_http_1_1(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(answering()) as served:
            response = await served.ask(GET_AND_CLOSE)
            assert response.field(b"transfer-encoding") == [b"chunked"]
            assert response.body == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"

    run(loop, test())


@each_loop
@pytest.mark.parametrize("extra", [b"", b"Connection: keep-alive\r\n"])
def test_http_1_0_gets_the_plain_body_until_close(loop: LoopFactory, extra: bytes) -> None:
    async def test() -> None:
        async with serving(answering((b"connection", b"keep-alive"))) as served:
            response = await served.ask(b"GET / HTTP/1.0\r\n" + extra + b"\r\n")
            assert response.field(b"transfer-encoding") == []
            assert response.field(b"connection") == [b"close"]
            assert response.body == b"one two"

    run(loop, test())


@each_loop
@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)], ids=str
)
def test_responses_without_a_body_have_none(loop: LoopFactory, method: bytes, status: int) -> None:
    async def test() -> None:
        async with serving(answering(status=status)) as served:
            response = await served.ask(method + b" / HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert (response.status, response.body) == (status, b"")
            assert response.field(b"transfer-encoding") == []

    run(loop, test())


@each_loop
@pytest.mark.parametrize("given", [b"keep-alive", b"close", b"Close"])
def test_a_closed_connection_has_one_connection_field(loop: LoopFactory, given: bytes) -> None:
    async def test() -> None:
        fields = ((b"Connection", given), (b"Transfer-Encoding", b"chunked"))
        async with serving(answering(*fields)) as served:
            response = await served.ask(GET_AND_CLOSE)
            assert response.field(b"connection") == [b"close"]
            assert response.field(b"transfer-encoding") == [b"chunked"]

    run(loop, test())


@each_loop
def test_a_kept_connection_has_the_applications_connection_field(loop: LoopFactory) -> None:
    async def test() -> None:
        async with (
            serving(answering((b"connection", b"keep-alive"))) as served,
            served.client() as client,
        ):
            await client.send(GET)
            assert (await client.head()).count(b"connection: keep-alive\r\n") == 1

    run(loop, test())


@each_loop
def test_an_application_that_fails_before_its_answer_gives_a_500_without_details(
    loop: LoopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise ValueError("a secret")

        async with serving(app) as served:
            response = await served.ask(GET)
            assert response.status == 500
            assert response.json["code"] == "internal"
            assert b"secret" not in response.raw

    run(loop, test())


@each_loop
@pytest.mark.parametrize("length", [b"3", b"9"])
def test_a_body_that_differs_from_its_length_never_looks_whole(
    loop: LoopFactory, length: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with serving(answering((b"content-length", length))) as served:
            response = await served.ask(GET)
            assert len(response.body) != int(length)

    run(loop, test())


# --- sockets ----------------------------------------------------------------------------------


@each_loop
def test_dead_peers_are_looked_for_and_tokens_leave_at_once(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served, served.client():
            await until(lambda: len(served.state.connections) == 1)
            sock = served.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            if hasattr(socket, "TCP_KEEPIDLE"):
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60

    run(loop, test())


@each_loop
def test_a_client_that_does_not_read_holds_64_kib_and_a_slice(loop: LoopFactory) -> None:
    async def test() -> None:
        piece = b"p" * 16_384
        written = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal written
            await start(send)
            while True:
                await write(send, piece)
                written += 1

        async with serving(app) as served, served.client() as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(GET)
            await until(lambda: written > 0 and _is_full(served))
            assert served.transport.get_write_buffer_size() <= 64 * 1024 + len(piece) + 16

    run(loop, test())


def _is_full(served: Any) -> bool:
    (connection,) = served.state.connections
    return bool(connection.flow.write_paused)


# --- breaking off -----------------------------------------------------------------------------


@each_loop
def test_abort_flushes_what_was_written_and_leaves_out_the_last_chunk(
    loop: LoopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            await write(send, b"o" * 50_000)
            connection_of(scope).abort()
            connection_of(scope).abort()
            await write(send, b"never")
            assert (await receive())["type"] == "http.disconnect"

        async with serving(app) as served:
            response = await served.ask(GET)
            await served.idle()
            assert response.body == b"c350\r\n" + b"o" * 50_000 + b"\r\n"

    with caplog.at_level(logging.WARNING):
        run(loop, test())
    assert caplog.records == []


@each_loop
def test_abort_does_not_wait_for_a_client_that_does_not_read(loop: LoopFactory) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            sending = asyncio.ensure_future(_send_for_ever(send))
            await until(lambda: _is_full(served))
            connection_of(scope).abort()
            sending.cancel()

        async with serving(app) as served, served.client() as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(GET)
            await until(lambda: bool(served.scopes))
            await until(lambda: not served.state.connections)

    run(loop, test())


async def _send_for_ever(send: Any) -> None:
    while True:
        await write(send, b"p" * 16_384)


@each_loop
def test_abort_after_a_whole_response_does_nothing(loop: LoopFactory) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await echo(scope, receive, send)
            connection_of(scope).abort()

        async with serving(app) as served, served.client() as client:
            await client.send(GET)
            await client.head()
            await client.send(GET_AND_CLOSE)
            assert (await client.reader.read()).endswith(b"GET / ")

    run(loop, test())


@each_loop
def test_the_peers_address_is_told(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served, served.client() as client:
            await client.send(GET)
            await client.head()
            peer = connection_of(served.scopes[0]).peer
            assert peer == client.writer.get_extra_info("sockname")

    run(loop, test())


@each_loop
def test_shutdown_lets_the_running_response_end_and_closes_the_rest(loop: LoopFactory) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            await write(send, b"one")
            await go_on.wait()
            await write(send, b"two", more=False)

        async with serving(app) as served, served.client() as busy, served.client() as idle:
            await busy.send(GET)
            await busy.reader.readuntil(b"one\r\n")
            await until(lambda: len(served.state.connections) == 2)
            for connection in list(served.state.connections):
                connection.shutdown()
            assert await idle.reader.read() == b""
            go_on.set()
            assert await busy.reader.read() == b"3\r\ntwo\r\n0\r\n\r\n"

    run(loop, test())
