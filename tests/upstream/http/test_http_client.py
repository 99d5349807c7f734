"""The client against scripted upstreams, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from tailrace.contracts import BodyEnd
from tailrace.errors import UpstreamBroken, UpstreamUnreachable
from tailrace.upstream.http.http_client import HttpUpstream
from tests.upstream.conftest import Run
from tests.upstream.raw_server import (
    ASK,
    Peer,
    Script,
    answering,
    asking,
    cutting,
    serving,
    taken,
    using,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Request-Id: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKED_BODY = b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n"
COUNTED = HEAD + b"Content-Length: 11\r\n\r\n"
UNFRAMED = HEAD + b"\r\n"


@pytest.mark.parametrize(
    "response",
    [CHUNKED + CHUNKED_BODY, COUNTED + b"hello world", UNFRAMED + b"hello world"],
    ids=["chunked", "counted", "until the end of the connection"],
)
def test_a_body_is_whole_in_each_framing(run: Run, response: bytes) -> None:
    async def scenario() -> None:
        async with asking(cutting(response)) as (upstream, _):
            call = await upstream.ask(ASK)
            assert call.status == 200
            assert list(call.headers)[:2] == [
                (b"content-type", b"text/event-stream"),
                (b"x-request-id", b"a"),
            ]
            assert await taken(call) == (b"hello world", BodyEnd.COMPLETE)

    run(scenario())


def test_a_response_that_comes_byte_by_byte_is_the_same(run: Run) -> None:
    async def dribble(peer: Peer) -> None:
        await peer.request()
        for byte in CHUNKED + CHUNKED_BODY:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)

    async def scenario() -> None:
        async with asking(dribble) as (upstream, _):
            call = await upstream.ask(ASK)
            assert await taken(call) == (b"hello world", BodyEnd.COMPLETE)

    run(scenario())


@pytest.mark.parametrize(
    ("head", "body"),
    [(CHUNKED, CHUNKED_BODY), (COUNTED, b"hello world")],
    ids=["chunked", "counted"],
)
def test_a_framed_response_cut_at_any_byte_is_cut(run: Run, head: bytes, body: bytes) -> None:
    response = head + body
    answers = iter([response[:kept] for kept in range(len(response) + 1)])

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(next(answers))

    async def scenario() -> None:
        async with asking(script) as (upstream, _):
            for kept in range(len(head)):
                with pytest.raises(UpstreamBroken if kept else UpstreamUnreachable):
                    await upstream.ask(ASK)
            for _ in body:
                received, how = await taken(await upstream.ask(ASK))
                assert how is BodyEnd.CUT
                assert b"hello world".startswith(received)
            assert await taken(await upstream.ask(ASK)) == (b"hello world", BodyEnd.COMPLETE)

    run(scenario())


def test_what_came_before_a_malformed_chunk_is_handed_over(run: Run) -> None:
    async def scenario() -> None:
        async with asking(cutting(CHUNKED + b"5\r\nhello\r\nnot hex\r\n")) as (upstream, _):
            assert await taken(await upstream.ask(ASK)) == (b"hello", BodyEnd.CUT)

    run(scenario())


def test_a_line_of_ten_megabytes_passes(run: Run) -> None:
    line = b"data: " + b"x" * 10_000_000 + b"\n\n"
    response = CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(line), line)

    async def scenario() -> None:
        async with asking(cutting(response)) as (upstream, _):
            assert await taken(await upstream.ask(ASK)) == (line, BodyEnd.COMPLETE)

    run(scenario())


def test_informational_responses_are_passed_over(run: Run) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    async def scenario() -> None:
        async with asking(cutting(early + COUNTED + b"hello world")) as (upstream, _):
            call = await upstream.ask(ASK)
            assert call.status == 200
            assert b"link" not in dict(call.headers)
            assert await taken(call) == (b"hello world", BodyEnd.COMPLETE)

    run(scenario())


def test_an_http_1_0_response_ends_with_its_connection(run: Run) -> None:
    async def scenario() -> None:
        response = b"HTTP/1.0 200 OK\r\n\r\nhello"
        async with asking(cutting(response)) as (upstream, _):
            assert await taken(await upstream.ask(ASK)) == (b"hello", BodyEnd.COMPLETE)

    run(scenario())


@pytest.mark.parametrize("status", [204, 304, 301, 429, 500])
def test_every_status_is_an_answer_and_no_redirect_is_followed(run: Run, status: int) -> None:
    length = b"" if status in {204, 304} else b"Content-Length: 2\r\n"
    body = b"no" if length else b""
    response = b"HTTP/1.1 %d X\r\nLocation: /elsewhere\r\nRetry-After: 7\r\n%s\r\n%s"

    async def scenario() -> None:
        async with asking(answering(response % (status, length, body))) as (upstream, server):
            call = await upstream.ask(ASK)
            assert (call.status, await call.read(100)) == (status, body)
            assert dict(call.headers)[b"retry-after"] == b"7"
            assert server.accepted == 1

    run(scenario())


@pytest.mark.parametrize(
    ("garbage", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "does not speak HTTP"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "switched protocols"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", "more than 262144 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000 + b"\r\n", "more than 262144 bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 12_000, "more than 262144 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "not speak HTTP"),
    ],
    ids=["ssh", "tls", "version", "upgrade", "field", "fields", "informational", "lengths"],
)
def test_what_is_no_response_is_named(run: Run, garbage: bytes, words: str) -> None:
    async def scenario() -> None:
        async with asking(cutting(garbage)) as (upstream, server):
            with pytest.raises(UpstreamBroken, match=words) as caught:
                await upstream.ask(ASK)
            assert f"127.0.0.1:{server.port}" in str(caught.value)

    run(scenario())


def test_endless_trailers_are_a_cut_body(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nhello\r\n0\r\n")
        while True:
            await peer.send(b"X-Trailer: more\r\n" * 1000)

    async def scenario() -> None:
        async with asking(script) as (upstream, _):
            assert await taken(await upstream.ask(ASK)) == (b"hello", BodyEnd.CUT)

    run(scenario())


def test_unasked_compression_is_visible_to_the_caller(run: Run) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"

    async def scenario() -> None:
        async with asking(answering(response)) as (upstream, _):
            call = await upstream.ask(ASK)
            assert dict(call.headers)[b"content-encoding"] == b"gzip"
            assert await call.read(10) == b"\x1f\x8b"

    run(scenario())


def test_a_refused_connection_names_host_and_port(run: Run) -> None:
    async def scenario() -> None:
        async with serving(answering(b"")) as server:
            port = server.port
        async with using(HttpUpstream(f"http://127.0.0.1:{port}/v1")) as upstream:
            with pytest.raises(UpstreamUnreachable, match=f"127.0.0.1:{port}: connection refused"):
                await upstream.ask(ASK)

    run(scenario())


def test_an_unknown_name_is_told_as_such(run: Run) -> None:
    async def scenario() -> None:
        async with using(HttpUpstream("http://nowhere.invalid/v1")) as upstream:
            with pytest.raises(UpstreamUnreachable, match=r"nowhere\.invalid:80: .*name|resol"):
                await upstream.ask(ASK)

    run(scenario())


def test_the_request_carries_the_key_and_the_path_below_the_base(run: Run) -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.request())
        await peer.send(COUNTED + b"hello world")

    async def scenario() -> None:
        async with asking(script, api_key="sk-secret") as (upstream, server):
            await (await upstream.ask(ASK)).read(100)
            head = heads[0].split(b"\r\n")
            assert head[0] == b"POST /v1/chat/completions HTTP/1.1"
            assert b"host: 127.0.0.1:%d" % server.port in head
            assert b"authorization: Bearer sk-secret" in head
            assert b"accept-encoding: identity" in head
            assert upstream.redact(b'{"key":"sk-secret"}') == b'{"key":"[redacted]"}'
            assert upstream.base_url == server.url

    run(scenario())


# --- reuse ---


def test_a_connection_is_used_again(run: Run) -> None:
    async def scenario() -> None:
        async with asking(answering(CHUNKED + CHUNKED_BODY)) as (upstream, server):
            for _ in range(5):
                assert await taken(await upstream.ask(ASK)) == (b"hello world", BodyEnd.COMPLETE)
            assert server.accepted == 1

    run(scenario())


@pytest.mark.parametrize(
    "response",
    [
        HEAD + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        HEAD + b"Content-Length: 5\r\n\r\nhellojunk",
    ],
    ids=["close", "1.0", "an answer too many", "junk"],
)
def test_a_connection_that_cannot_be_trusted_is_not_used_again(run: Run, response: bytes) -> None:
    async def scenario() -> None:
        async with asking(answering(response)) as (upstream, server):
            for _ in range(2):
                assert await taken(await upstream.ask(ASK)) == (b"hello", BodyEnd.COMPLETE)
            assert server.accepted == 2

    run(scenario())


def test_an_idle_connection_that_speaks_is_closed(run: Run) -> None:
    async def scenario() -> None:
        done, gone = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(COUNTED + b"hello world")
            await done.wait()
            await peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            await peer.left()
            gone.set()

        async with asking(script) as (upstream, server):
            for accepted in (1, 2):
                call = await upstream.ask(ASK)
                assert (call.status, await call.read(100)) == (200, b"hello world")
                done.set()
                await gone.wait()
                done.clear()
                gone.clear()
                assert server.accepted == accepted

    run(scenario())


def dying_after_one(answer_to_second: bytes = b"") -> tuple[Script, list[int]]:
    """The first connection answers once, and at the second request ends as told."""
    seen: list[int] = []

    async def script(peer: Peer) -> None:
        connection = len(set(seen)) + 1
        await peer.request()
        seen.append(connection)
        await peer.send(COUNTED + b"hello world")
        await peer.request()
        seen.append(connection)
        await peer.send(answer_to_second)

    return script, seen


def test_a_dead_pooled_connection_costs_one_more_try(run: Run) -> None:
    async def scenario() -> None:
        script, seen = dying_after_one()
        async with asking(script) as (upstream, server):
            for _ in range(2):
                assert await (await upstream.ask(ASK)).read(100) == b"hello world"
            assert server.accepted == 2
            assert seen == [1, 1, 2]

    run(scenario())


def test_a_request_that_was_answered_in_part_is_not_sent_again(run: Run) -> None:
    async def scenario() -> None:
        script, seen = dying_after_one(b"H")
        async with asking(script) as (upstream, server):
            assert await (await upstream.ask(ASK)).read(100) == b"hello world"
            with pytest.raises(UpstreamBroken, match="broke off in the head"):
                await upstream.ask(ASK)
            assert server.accepted == 1
            assert seen == [1, 1]

    run(scenario())


def test_a_request_on_a_fresh_connection_is_never_sent_again(run: Run) -> None:
    async def scenario() -> None:
        async with asking(cutting(b"")) as (upstream, server):
            with pytest.raises(UpstreamUnreachable, match="without an answer"):
                await upstream.ask(ASK)
            assert server.accepted == 1

    run(scenario())
