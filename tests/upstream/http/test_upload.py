"""Uploads: their framing, and how they end, as the upstream and the sender see it."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.contracts import BodyEnd, UpstreamRequest
from tailrace.errors import BadRequest, UpstreamTimeout, UpstreamUnreachable
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.http.connection import UpstreamConnection
from tailrace.upstream.http.upload import UploadFraming
from tests.upstream.conftest import Run
from tests.upstream.raw_server import ASK, Peer, Recorder, asking, taken

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TOO_LARGE: Final = b"HTTP/1.1 413 X\r\nContent-Length: 9\r\n\r\ntoo large"
CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE: Final = b"x" * 65536


class Pieces:
    """An upload of what ``make`` gives; counts what was read."""

    def __init__(self, pieces: AsyncIterator[bytes], length: int | None = None) -> None:
        self.length = length
        self.taken = 0
        self._pieces = pieces

    async def read(self) -> bytes:
        piece = await anext(self._pieces, b"")
        self.taken += len(piece)
        return piece


def receiver_has(receiver: Recorder, body: bytes) -> bool:
    return receiver.body == body


async def some(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield PIECE


def sending(upload: Pieces) -> UpstreamRequest:
    return UpstreamRequest("POST", "/files", [], upload)


# --- framing ----------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=20)))
def test_pieces_are_chunks_where_no_length_is_known(pieces: list[bytes]) -> None:
    framing = UploadFraming(None)
    wire = b"".join(map(framing.frame, pieces)) + framing.end()
    assert wire == b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=20)))
def test_pieces_are_themselves_where_the_length_is_known(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    framing = UploadFraming(len(whole))
    assert b"".join(map(framing.frame, pieces)) + framing.end() == whole


def test_a_body_of_another_length_than_announced_is_refused() -> None:
    longer = UploadFraming(3)
    longer.frame(b"abc")
    with pytest.raises(BadRequest, match="as long as"):
        longer.frame(b"d")
    shorter = UploadFraming(3)
    shorter.frame(b"ab")
    with pytest.raises(BadRequest, match="as long as"):
        shorter.end()


# --- whole ------------------------------------------------------------------------------------


def test_an_upload_of_known_length_arrives_and_its_connection_is_used_again(run: Run) -> None:
    async def scenario() -> None:
        bodies = []

        async def script(peer: Peer) -> None:
            while head := await peer.reader.readuntil(b"\r\n\r\n"):
                assert b"\r\ncontent-length: 6\r\n" in head
                bodies.append(await peer.reader.readexactly(6))
                await peer.send(OK)
                head = await peer.request()
                await peer.send(OK)

        async with asking(script) as (upstream, server):
            call = await upstream.ask(sending(Pieces(some(b"abc", b"def"), 6)))
            assert await taken(call) == (b"ok", BodyEnd.COMPLETE)
            assert await taken(await upstream.ask(ASK)) == (b"ok", BodyEnd.COMPLETE)
            assert (bodies, server.accepted) == ([b"abcdef"], 1)

    run(scenario())


def test_an_upload_of_unknown_length_is_sent_in_chunks(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            head = await peer.reader.readuntil(b"\r\n\r\n")
            assert b"\r\ntransfer-encoding: chunked\r\n" in head
            assert b"content-length" not in head
            assert await peer.reader.readexactly(21) == b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
            await peer.send(OK)

        async with asking(script) as (upstream, _):
            call = await upstream.ask(sending(Pieces(some(b"abc", b"def"))))
            assert await taken(call) == (b"ok", BodyEnd.COMPLETE)

    run(scenario())


def test_an_upload_is_sent_on_a_connection_that_nobody_has_used(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            while await peer.request():
                await peer.send(OK)

        async with asking(script) as (upstream, server):
            await taken(await upstream.ask(ASK))
            for accepted in (2, 3):
                await taken(await upstream.ask(sending(Pieces(some(b"abc"), 3))))
                assert server.accepted == accepted

    run(scenario())


def test_an_answer_may_begin_and_flow_while_the_upload_does(run: Run) -> None:
    async def scenario() -> None:
        more: asyncio.Queue[bytes] = asyncio.Queue()

        async def pieces() -> AsyncIterator[bytes]:
            while piece := await more.get():
                yield piece

        async def echo(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.send(CHUNKED)
            for piece in (b"one", b"two"):
                assert await peer.reader.readexactly(8) == b"3\r\n%b\r\n" % piece
                await peer.send(b"3\r\n%b\r\n" % piece)
            assert await peer.reader.readexactly(5) == b"0\r\n\r\n"
            await peer.send(b"0\r\n\r\n")
            await peer.left()

        async with asking(echo, clocks=Clocks(silence=0.5)) as (upstream, _):
            call = await upstream.ask(sending(Pieces(pieces())))
            receiver = Recorder()
            call.stream(receiver)
            await asyncio.sleep(0.7)  # nobody is silent who listens
            for piece, echoed in ((b"one", b"one"), (b"two", b"onetwo")):
                more.put_nowait(piece)
                await receiver.until(partial(receiver_has, receiver, echoed))
            more.put_nowait(b"")
            assert await receiver.ended() is BodyEnd.COMPLETE

    run(scenario())


# --- refused ----------------------------------------------------------------------------------


def reset_on_close(peer: Peer) -> None:
    """As the kernel does where a server closes and has not read everything."""
    peer.writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )


async def wait_until_left(peer: Peer) -> None:
    await peer.left()


async def close_at_once(peer: Peer) -> None:
    pass


async def close_with_a_reset(peer: Peer) -> None:
    reset_on_close(peer)


@pytest.mark.parametrize("afterwards", [wait_until_left, close_at_once, close_with_a_reset])
def test_an_early_refusal_ends_the_upload_and_is_the_answer(
    run: Run, afterwards: Callable[[Peer], Awaitable[None]]
) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.reader.readexactly(100_000)
            await peer.send(TOO_LARGE)
            await afterwards(peer)

        async with asking(script) as (upstream, server):
            for accepted in range(1, 6):
                upload = Pieces(endless(), 10**12)
                call = await upstream.ask(sending(upload))
                assert (call.status, await call.read(100)) == (413, b"too large")
                assert server.accepted == accepted
                stopped = upload.taken
                await asyncio.sleep(0.01)
                assert upload.taken == stopped

    run(scenario())


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems may drop what came before a reset"
)
def test_what_was_said_before_a_reset_is_heard_where_our_write_meets_the_reset(run: Run) -> None:
    class Carried:
        def __init__(self) -> None:
            self.heard: list[bytes | bool] = []

        def received(self, data: bytes) -> None:
            self.heard.append(data)

        def lost(self, clean: bool) -> None:
            self.heard.append(clean)

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: UpstreamConnection(lambda gone: None), *listener.getsockname()
            )
            carried = Carried()
            connection.carry(carried, b"head")
            peer, _ = listener.accept()
        with peer:
            peer.recv(4)
            peer.sendall(TOO_LARGE)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Nothing was awaited since: the loop has not looked at the socket.
        connection.write(PIECE)
        await connection.gone
        assert carried.heard == [TOO_LARGE, False]

    run(scenario())


def test_an_upstream_that_hangs_up_in_mid_upload_is_unreachable(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.reader.readexactly(100_000)
            peer.cut()

        async with asking(script) as (upstream, server):
            with pytest.raises(UpstreamUnreachable, match="without an answer"):
                await upstream.ask(sending(Pieces(endless())))
            assert server.accepted == 1

    run(scenario())


# --- held up ----------------------------------------------------------------------------------


async def deaf(peer: Peer) -> None:
    """Reads nothing; the stream reader stops the socket beyond 128 KiB."""
    await asyncio.sleep(60)


def test_an_upstream_that_does_not_read_stops_the_upload_and_is_not_waited_for_long(
    run: Run,
) -> None:
    async def scenario() -> None:
        upload = Pieces(endless())
        async with asking(deaf, clocks=Clocks(silence=0.5)) as (upstream, _):
            with pytest.raises(UpstreamTimeout, match=r"silence clock of 0\.5 s"):
                await upstream.ask(sending(upload))
            assert upload.taken < 64 * 1024 * 1024  # what kernels take, which varies

    run(scenario())


def test_the_clock_for_the_first_byte_begins_when_the_upload_is_sent(run: Run) -> None:
    async def scenario() -> None:
        async def slow() -> AsyncIterator[bytes]:
            for _ in range(5):
                await asyncio.sleep(0.1)
                yield b"x"

        async def silent(peer: Peer) -> None:
            await peer.request()
            await peer.left()

        async with asking(silent, clocks=Clocks(first_byte=0.3)) as (upstream, _):
            upload = Pieces(slow(), 5)
            with pytest.raises(UpstreamTimeout, match=r"first_byte clock of 0\.3 s"):
                await upstream.ask(sending(upload))
            assert upload.taken == 5

    run(scenario())


def test_the_total_clock_counts_while_the_upload_does(run: Run) -> None:
    async def scenario() -> None:
        async def never() -> AsyncIterator[bytes]:
            await asyncio.sleep(60)
            yield b""

        async with asking(deaf, clocks=Clocks(total=0.3)) as (upstream, _):
            with pytest.raises(UpstreamTimeout, match=r"total clock of 0\.3 s"):
                await upstream.ask(sending(Pieces(never())))

    run(scenario())


# --- left -------------------------------------------------------------------------------------


class Left(Exception):
    """What a sender raises that left."""


async def leaving(after: bytes, when: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    yield after
    if when is not None:
        await when.wait()
    raise Left


def test_a_sender_that_leaves_closes_the_connection(run: Run) -> None:
    async def scenario() -> None:
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.left()
            left.set()

        async with asking(script) as (upstream, _):
            with pytest.raises(Left):
                await upstream.ask(sending(Pieces(leaving(b"abc"), 10)))
            await left.wait()

    run(scenario())


def test_a_sender_that_leaves_while_the_answer_flows_cuts_it(run: Run) -> None:
    async def scenario() -> None:
        left, go = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.send(CHUNKED + b"5\r\nhello\r\n")
            await peer.left()
            left.set()

        async with asking(script) as (upstream, _):
            call = await upstream.ask(sending(Pieces(leaving(b"abc", go), 10)))
            receiver = Recorder()
            call.stream(receiver)
            await receiver.until(lambda: receiver.body == b"hello")
            go.set()
            assert await receiver.ended() is BodyEnd.CUT
            await left.wait()

    run(scenario())


def test_an_upload_that_is_shorter_than_it_said_is_never_completed(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            raise AssertionError("the body was completed")

        async with asking(script) as (upstream, _):
            with pytest.raises(BadRequest):
                await upstream.ask(sending(Pieces(some(b"abc"), 4)))

    run(scenario())
