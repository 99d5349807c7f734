"""Requests that never reach the application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailrace.http1.protocol import Limits
from tailrace.web.access_log import AccessLog
from tests.http1.http1_harness import (
    LoopFactory,
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

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SMALL = Limits(max_url=200, max_header=1000, max_fields=10)
each_loop = pytest.mark.parametrize("loop", loop_factories())

MALFORMED = {
    "not HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0 in a request line": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "an unknown version": b"GET / HTTP/7.1\r\n\r\n",
    "a space in the target": b"GET /stream?content=Hello world HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method of no registry": b"FROB / HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "another scheme": b"GET ftp://example.org/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "credentials in the target": b"GET http://a:b@example.org/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a folded field": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "a field name with a space": b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
    "a NUL in a value": b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "a length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an upgrade with a coding that is not chunked": b"POST / HTTP/1.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: h2c\r\nTransfer-Encoding: identity\r\n\r\n",
}


@each_loop
@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_http_is_answered_with_a_400_problem(
    loop: LoopFactory, request_bytes: bytes
) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            response = await served.ask(request_bytes)
            assert response.status == 400
            assert response.field(b"content-type") == [b"application/problem+json"]
            assert response.field(b"connection") == [b"close"]
            assert served.scopes == [], "the application was asked"
            assert response.json["code"] == "bad_request"
            assert served.scopes == []

    run(loop, test())


@each_loop
def test_a_long_target_is_refused_before_its_end_has_come(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo, SMALL) as served:
            response = await served.ask(b"GET /stream?content=" + b"a" * 100, b"b" * 100)
            assert response.status == 414
            assert response.json["code"] == "uri_too_long"
            assert served.scopes == []

    run(loop, test())


@each_loop
def test_a_target_of_just_the_limit_is_served(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo, SMALL) as served:
            target = b"/".ljust(SMALL.max_url, b"a")
            fine = await served.ask(b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
            over = await served.ask(b"GET " + target + b"a HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert (fine.status, over.status) == (200, 414)

    run(loop, test())


HEADS = {
    "one whole field": b"A: " + b"a" * 1000 + b"\r\n\r\n",
    "many small fields": b"A: b\r\n" * 11 + b"\r\n",
    "many middling fields": (b"A: " + b"b" * 200 + b"\r\n") * 5 + b"\r\n",
}


@each_loop
@pytest.mark.parametrize("fields", HEADS.values(), ids=HEADS.keys())
def test_a_large_header_section_is_refused(loop: LoopFactory, fields: bytes) -> None:
    async def test() -> None:
        async with serving(echo, SMALL) as served:
            response = await served.ask(b"GET / HTTP/1.1\r\n" + fields)
            assert response.status == 431
            assert response.json["code"] == "headers_too_large"
            assert served.scopes == []

    run(loop, test())


ENDLESS = {
    "a field": b"GET / HTTP/1.1\r\nA: ",
    "a field's name": b"GET / HTTP/1.1\r\nA",
    "a chunk extension": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=",
    "a trailer": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: ",
}


@each_loop
@pytest.mark.parametrize("opening", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_has_no_end_is_refused_while_it_arrives(loop: LoopFactory, opening: bytes) -> None:
    async def test() -> None:
        async with serving(echo, SMALL) as served, served.client() as client:
            await client.send(opening)
            sending = asyncio.ensure_future(_send_for_ever(client.writer))
            response = await client.everything()
            sending.cancel()
            assert response.status == 431

    run(loop, test())


async def _send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"e" * 500)
        await asyncio.sleep(0.005)


@each_loop
def test_a_client_that_sends_megabytes_of_header_still_gets_the_whole_refusal(
    loop: LoopFactory,
) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            response = await served.ask(b"GET / HTTP/1.1\r\nA: ", b"a" * 5_000_000)
            assert response.status == 431
            assert int(response.field(b"content-length")[0]) == len(response.body)

    run(loop, test())


@each_loop
def test_a_refusal_under_v1_has_the_shape_that_sdks_read(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo, SMALL) as served:
            response = await served.ask(b"GET /v1/models HTTP/1.1\r\n" + b"A: b\r\n" * 12)
            assert response.status == 431
            assert response.json["error"]["code"] == "headers_too_large"

    run(loop, test())


@each_loop
def test_a_refusal_stands_in_the_access_log(loop: LoopFactory) -> None:
    lines: list[str] = []

    async def test() -> None:
        log = AccessLog(lines.append, lambda: 0.0)
        async with serving(echo, SMALL, log) as served:
            response = await served.ask(b"GET /?secret=" + b"a" * 300)
            size = len(response.body)
        assert lines == [f"1970-01-01T00:00:00.000Z - - 414 {size}B 0.0ms"]

    run(loop, test())


@each_loop
def test_rubbish_behind_a_running_response_is_refused_when_that_has_ended(
    loop: LoopFactory,
) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            await write(send, b"one")
            await go_on.wait()
            await write(send, b"two", more=False)

        async with serving(app) as served, served.client() as client:
            await client.send(GET)
            await client.reader.readuntil(b"one\r\n")
            await client.send(b"\x00rubbish\r\n\r\n")
            await until(lambda: served.connection._refusal is not None)
            go_on.set()
            assert await client.reader.readuntil(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"
            refusal = await client.everything()
            assert refusal.status == 400
            assert refusal.field(b"connection") == [b"close"]

    run(loop, test())


BROKEN = {
    "a method of no registry": b"T /c HTTP/1.1\r\nHost: x\r\n\r\n",
    "a body that breaks": b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\na\r\nzz\r\n",
}


@each_loop
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_what_breaks_behind_whole_requests_is_refused_behind_their_answers_however_it_is_cut(
    loop: LoopFactory, broken: bytes
) -> None:
    async def test() -> None:
        post = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        data = post % b"a" + post % b"b" + broken
        async with serving(echo) as served:
            for cut in range(1, len(data), 7):
                raw = (await served.ask(data[:cut], data[cut:])).raw
                assert raw.count(b"HTTP/1.1 200 ") == 2, cut
                assert raw.index(b"POST /a abc") < raw.index(b"POST /b abc"), cut
                assert raw.index(b"POST /b abc") < raw.index(b"HTTP/1.1 400 "), cut

    run(loop, test())


@each_loop
def test_rubbish_behind_a_last_request_is_not_answered(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo) as served:
            last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            response = await served.ask(last + b"\x00rubbish\r\n\r\n")
            assert response.raw.count(b"HTTP/1.1 ") == 1
            assert response.status == 200

    run(loop, test())


@each_loop
def test_rubbish_behind_which_the_client_has_closed_its_side_is_refused_all_the_same(
    loop: LoopFactory,
) -> None:
    async def test() -> None:
        async with serving(echo) as served, served.client() as client:
            await client.send(GET + b"\x00rubbish\r\n\r\n")
            client.writer.write_eof()
            response = await client.everything()
            assert response.raw.count(b"HTTP/1.1 200 ") == 1
            assert response.raw.count(b"HTTP/1.1 400 ") == 1

    run(loop, test())


@each_loop
def test_a_body_that_breaks_before_the_answer_is_refused_and_the_application_told(
    loop: LoopFactory,
) -> None:
    async def test() -> None:
        bodies: list[bytes | None] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            bodies.append(await read_all(receive))

        async with serving(app) as served:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            response = await served.ask(head + b"3\r\nabc\r\nzz\r\n")
            await served.idle()
            assert response.status == 400
            assert bodies == [None]

    run(loop, test())


@each_loop
def test_a_body_that_breaks_during_the_answer_cuts_the_answer(loop: LoopFactory) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            await write(send, b"one")
            await read_all(receive)
            await write(send, b"never", more=False)

        async with serving(app) as served, served.client() as client:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            await client.send(head)
            await client.reader.readuntil(b"one\r\n")
            await client.send(b"zz\r\n")
            assert await client.reader.read() == b""

    run(loop, test())


@each_loop
@pytest.mark.parametrize(
    "trailer",
    [b"T: " + b"t" * 2000 + b"\r\n\r\n", b"T: t\r\n" * 11 + b"\r\n"],
    ids=["long", "many"],
)
def test_trailers_are_bounded_like_headers(loop: LoopFactory, trailer: bytes) -> None:
    async def test() -> None:
        async with serving(echo, SMALL) as served:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            response = await served.ask(head + b"0\r\n" + trailer)
            assert response.status == 431

    run(loop, test())


@each_loop
@pytest.mark.parametrize("opening", [b"", b"GET / HT", b"\r\n"], ids=["nothing", "half", "blank"])
def test_a_client_whose_head_never_comes_is_let_go(loop: LoopFactory, opening: bytes) -> None:
    async def test() -> None:
        async with serving(echo, Limits(head_timeout=0.05)) as served:
            assert (await served.ask(opening)).raw == b""

    run(loop, test())


@each_loop
def test_a_second_head_on_a_kept_connection_has_the_same_deadline(loop: LoopFactory) -> None:
    async def test() -> None:
        async with serving(echo, Limits(head_timeout=0.05)) as served:
            response = await served.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /half")
            assert response.raw.endswith(b"GET / ")

    run(loop, test())


@each_loop
def test_the_deadline_for_heads_does_not_touch_a_running_response(loop: LoopFactory) -> None:
    async def test() -> None:
        done = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await done.wait()
            await echo(scope, receive, send)

        async with serving(app, Limits(head_timeout=0.05)) as served, served.client() as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            async with served.client() as other:  # whose deadline began later
                assert (await other.everything()).raw == b""
            done.set()
            assert (await client.everything()).status == 200
            assert connection_of(served.scopes[0]).peer is not None

    run(loop, test())


@each_loop
def test_nobody_is_told_to_continue_behind_a_refusal(loop: LoopFactory) -> None:
    """An application that reads its request late finds its client gone, and nothing fails."""
    gate = asyncio.Event()
    heard: list[Any] = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        heard.append(await receive())

    async def test() -> None:
        async with serving(late) as served:
            response = await served.ask(
                b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n",
                b"no size\r\n",
            )
            assert response.status == 400
            gate.set()
            await until(lambda: bool(heard))
            assert heard == [{"type": "http.disconnect"}]

    run(loop, test())
