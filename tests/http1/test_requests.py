"""What a request may look like, and several of them behind each other."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from tests.http1.http1_harness import (
    App,
    LoopFactory,
    echo,
    loop_factories,
    read_all,
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


# --- requests ---------------------------------------------------------------------------------

WHOLE = (
    b"POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    b"\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nTrailer: t\r\n\r\n"
)


@each_loop
def test_a_request_cut_anywhere_is_read_alike(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            expected = (await served.ask(WHOLE)).raw
            assert expected.endswith(b"POST /a b abcd")
            for cut in range(1, len(WHOLE)):
                assert (await served.ask(WHOLE[:cut], WHOLE[cut:])).raw == expected, cut
            fields = [scope["headers"] for scope in served.scopes]
            assert all(field == fields[0] for field in fields)

    run(loop, test())


@each_loop
def test_a_trailer_does_not_pass_for_a_header(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            await served.ask(WHOLE)
            names = [name for name, _ in served.scopes[0]["headers"]]
            assert names == [b"host", b"transfer-encoding", b"connection"]

    run(loop, test())


@each_loop
def test_raw_utf_8_in_a_target_is_read_as_if_it_were_encoded(loop: LoopFactory) -> None:
    async def test() -> None:
        target = "/stream?content=你好 ".strip().encode()
        async with serving(echo) as served:
            tail = b" HTTP/1.1\r\nConnection: close\r\n\r\n"
            for cut in range(1, len(target)):
                await served.ask(b"GET " + target[:cut], target[cut:] + tail)
            queries = {scope["query_string"] for scope in served.scopes}
            assert queries == {b"content=%E4%BD%A0%E5%A5%BD"}

    run(loop, test())


@each_loop
def test_raw_bytes_in_a_field_are_left_as_they_are(loop: LoopFactory) -> None:
    async def test() -> None:
        head = "GET / HTTP/1.1\r\nX: é\r\nConnection: close\r\n\r\n".encode()
        async with serving(echo) as served:
            for cut in range(1, len(head)):
                await served.ask(head[:cut], head[cut:])
            values = {dict(scope["headers"])[b"x"] for scope in served.scopes}
            assert values == {"é".encode()}

    run(loop, test())


@each_loop
def test_the_host_of_an_absolute_target_replaces_the_host_field(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            await served.ask(
                b"GET http://evil.example:81?a=b HTTP/1.1\r\nHost: localhost\r\n"
                b"Connection: close\r\n\r\n"
            )
            (scope,) = served.scopes
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            assert hosts == [b"evil.example:81"]
            assert (scope["raw_path"], scope["query_string"]) == (b"/", b"a=b")

    run(loop, test())


@each_loop
@pytest.mark.parametrize(
    "framed",
    [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
)
def test_a_body_that_offers_an_upgrade_is_read_and_so_is_what_follows(
    loop: LoopFactory, framed: bytes
) -> None:
    async def test() -> None:
        upgrade = b"POST /1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        data = upgrade + b"Upgrade: h2c\r\n" + framed + GET_AND_CLOSE
        async with serving(echo) as served:
            for cut in range(1, len(data), 7):
                response = await served.ask(data[:cut], data[cut:])
                assert b"POST /1 abc" in response.raw
                assert response.raw.endswith(b"GET / ")

    run(loop, test())


@each_loop
def test_100_continue_is_said_when_the_application_wants_the_body(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served, served.client() as client:
            await client.send(
                b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
            )
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"abc")
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")

    run(loop, test())


@each_loop
def test_http_1_0_is_not_told_to_continue(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            response = await served.ask(
                b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
            )
            assert response.status == 200

    run(loop, test())


@each_loop
def test_an_answer_before_the_body_leaves_the_connection_usable(loop: LoopFactory) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send, (b"content-length", b"4"), status=413)
            await write(send, b"much", more=False)

        async with serving(app) as served, served.client() as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
            assert b" 413 " in await client.head()
            assert await client.reader.readexactly(4) == b"much"
            await client.send(b"b" * 200_000 + GET)
            assert b" 413 " in await client.head()

    run(loop, test())


@each_loop
def test_an_answer_before_a_body_that_never_comes_ends_the_connection(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(answering((b"content-length", b"7"))) as served:
            response = await served.ask(
                b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"
            )
            assert response.body == b"one two"

    run(loop, test())


# --- pipelining -------------------------------------------------------------------------------


@each_loop
def test_pipelined_requests_are_answered_in_their_order(loop: LoopFactory) -> None:
    async def test() -> None:
        post = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nbody%d"
        data = b"".join(post % (n, n) for n in range(6)) + GET_AND_CLOSE
        expected = [f"POST /{n} body{n}".encode() for n in range(6)]
        async with serving(echo) as served:
            for cut in range(1, len(data), 11):
                response = await served.ask(data[:cut], data[cut:])
                places = [response.raw.index(answer) for answer in expected]
                assert places == sorted(places)
                assert response.raw.endswith(b"GET / ")

    run(loop, test())


@each_loop
@pytest.mark.parametrize("together", [True, False])
def test_a_running_response_learns_of_a_disconnect_behind_a_pipelined_request(
    loop: LoopFactory, together: bool
) -> None:
    async def test() -> None:
        learned = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await read_all(receive)
            await start(send)
            await write(send, b"one")
            assert (await receive())["type"] == "http.disconnect"
            learned.set()

        async with serving(app) as served:
            async with served.client() as client:
                await client.send(GET + GET if together else GET)
                await client.reader.readuntil(b"one\r\n")
                await client.send(GET + b"P" * 10_000)
            await learned.wait()
            await served.idle()
            assert len(served.scopes) == 1  # what its client did not wait for is never asked

    run(loop, test())


@each_loop
def test_what_comes_behind_a_waiting_request_is_kept_for_later(loop: LoopFactory) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await go_on.wait()
            await echo(scope, receive, send)

        async with serving(app) as served, served.client() as client:
            await client.send(
                GET + b"POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"
            )
            await until(lambda: bool(served.scopes))
            await client.send(b"b" * 100_000)
            sending = asyncio.ensure_future(client.send(b"b" * 100_000 + GET_AND_CLOSE))
            await until(lambda: _is_held(served))
            go_on.set()
            answers = await client.reader.read()
            await sending
            assert b"POST /2 " + b"b" * 200_000 in answers
            assert answers.endswith(b"GET / ")

    run(loop, test())


def _is_held(served: Any) -> bool:
    (connection,) = served.state.connections
    return bool(connection.flow.read_paused)


@each_loop
def test_a_flood_of_pipelined_requests_is_not_hoarded(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            # Closed with requests unread, the connection is reset: an answer that is still on
            # its way may be lost with it.
            with suppress(ConnectionError):
                response = await served.ask(GET * 2000)
                assert response.status == 200
            assert len(served.scopes) < 2000

    run(loop, test())
