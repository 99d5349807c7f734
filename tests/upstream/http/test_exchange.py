"""Backpressure, cancelling and clocks of one exchange, as the upstream and the receiver see it."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref

import pytest

from tailrace.contracts import BodyEnd, Call, UpstreamRequest
from tailrace.errors import ConfigError, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.http.connection import UpstreamConnection
from tailrace.upstream.http.exchange import UpstreamExchange
from tailrace.upstream.http.http_client import HttpUpstream
from tests.upstream.conftest import Run
from tests.upstream.raw_server import ASK, Peer, Recorder, Script, answering, asking, taken

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
LAST = b"0\r\n\r\n"
GET = UpstreamRequest("GET", "/models", [])


class Flood:
    """A script: POST gets 64 MiB, as fast as the client takes them; GET gets a small answer."""

    size = 64 * 1024 * 1024

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, peer: Peer) -> None:
        while head := await peer.request():
            if head.startswith(b"GET"):
                await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                continue
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.size)
            for _ in range(self.size // 65536):
                await peer.send(b"x" * 65536)
                self.sent += 65536

    async def stalled(self, upstream: HttpUpstream) -> bool:
        """Wait until no more can be sent, be it that all was; say whether some is left.

        How long twenty other exchanges take is the measure of time, not a clock.
        """
        seen = [-1, self.sent]
        while seen[-1] != seen[-2]:
            for _ in range(20):
                await (await upstream.ask(GET)).read(1)
            seen.append(self.sent)
        return self.sent < self.size


def test_the_body_is_not_read_before_it_is_asked_for(run: Run) -> None:
    async def scenario() -> None:
        flood = Flood()
        async with asking(flood) as (upstream, _):
            call = await upstream.ask(ASK)
            assert await flood.stalled(upstream)
            body, how = await taken(call)
            assert (len(body), how) == (Flood.size, BodyEnd.COMPLETE)

    run(scenario())


@pytest.mark.parametrize("size", [1, 1024 * 1024], ids=["at once", "in the middle"])
def test_pausing_stops_the_upstream_and_resuming_loses_nothing(run: Run, size: int) -> None:
    async def scenario() -> None:
        flood = Flood()
        async with asking(flood) as (upstream, _):
            call = await upstream.ask(ASK)
            receiver = Recorder()
            paused = asyncio.Event()

            def pause_in_time(chunk: bytes) -> None:
                if len(receiver.body) >= size:
                    call.pause()
                    paused.set()

            receiver.on_data = pause_in_time
            call.stream(receiver)
            await paused.wait()
            chunks = len(receiver.chunks)
            assert await flood.stalled(upstream)
            assert len(receiver.chunks) == chunks
            receiver.on_data = lambda chunk: None
            call.resume()
            assert await receiver.ended() is BodyEnd.COMPLETE
            assert len(receiver.body) == Flood.size

    run(scenario())


def test_a_paused_receiver_hears_nothing_of_the_end_until_it_resumes(run: Run) -> None:
    async def scenario() -> None:
        async with asking(answering(HEAD + HELLO + LAST)) as (upstream, _):
            call = await upstream.ask(ASK)
            receiver = Recorder()
            receiver.on_data = lambda chunk: call.pause()
            call.stream(receiver)
            await receiver.until(lambda: bool(receiver.chunks))
            assert await taken(await upstream.ask(ASK)) == (b"hello", BodyEnd.COMPLETE)
            assert receiver.ends == []
            call.resume()
            assert receiver.ends == [BodyEnd.COMPLETE]
            call.resume()
            assert receiver.ends == [BodyEnd.COMPLETE]

    run(scenario())


def test_pausing_and_resuming_inside_data_neither_nests_nor_loses(run: Run) -> None:
    async def scenario() -> None:
        async with asking(answering(HEAD + HELLO * 1000 + LAST)) as (upstream, _):
            call = await upstream.ask(ASK)
            receiver = Recorder()

            def pause_and_resume(chunk: bytes) -> None:
                call.pause()
                call.resume()
                assert receiver.ends == []

            receiver.on_data = pause_and_resume
            call.stream(receiver)
            assert await receiver.ended() is BodyEnd.COMPLETE
            assert receiver.body == b"hello" * 1000

    run(scenario())


class EagerTransport(asyncio.Transport):
    """A network that delivers what it had already read when it was told to pause, as an event
    loop may: nothing in asyncio's documentation forbids it."""

    def __init__(self) -> None:
        super().__init__({"socket": socket.socket()})
        self.reading = True
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.closed = True

    def hang_up(self) -> None:
        self.get_extra_info("socket").close()


def test_bytes_that_come_in_spite_of_a_pause_are_held_in_order() -> None:
    async def scenario() -> None:
        transport = EagerTransport()
        connection = UpstreamConnection(lambda gone: None)
        connection.connection_made(transport)
        released: list[UpstreamConnection] = []
        ends_at = connection.loop.time() + 60
        exchange = UpstreamExchange(connection, "peer", Clocks(), ends_at, released.append)
        asking = asyncio.ensure_future(exchange.ask([b""]))
        await asyncio.sleep(0)
        connection.data_received(HEAD + b"1\r\na\r\n")
        await asking
        connection.data_received(b"1\r\nb\r\n")
        receiver = Recorder()
        exchange.stream(receiver)
        exchange.pause()
        connection.data_received(b"1\r\nc\r\n")
        connection.data_received(b"1\r\nd\r\n" + LAST)
        assert (receiver.body, receiver.ends) == (b"ab", [])
        assert (released, transport.reading) == ([connection], True)
        exchange.resume()
        assert (receiver.body, receiver.ends) == (b"abcd", [BodyEnd.COMPLETE])
        connection.data_received(b"unasked")
        assert transport.closed
        transport.hang_up()

    asyncio.run(scenario())


def test_a_finished_answer_is_not_kept_for_the_rest_of_its_time(run: Run) -> None:
    async def scenario() -> None:
        async with asking(answering(HEAD + HELLO + LAST)) as (upstream, _):
            call = await upstream.ask(ASK)
            receiver = Recorder()
            call.stream(receiver)
            await receiver.ended()
            forgotten = weakref.ref(receiver)
            del call, receiver
            gc.collect()
            assert forgotten() is None

    run(scenario())


# --- cancel ---


def one_word_then_waiting(left: asyncio.Event) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + HELLO)
        await peer.left()
        left.set()

    return script


def test_cancelling_closes_the_connection_and_silences_the_receiver(run: Run) -> None:
    async def scenario() -> None:
        left = asyncio.Event()
        async with asking(one_word_then_waiting(left)) as (upstream, _):
            call = await upstream.ask(ASK)
            receiver = Recorder()
            call.stream(receiver)
            await receiver.until(lambda: bool(receiver.chunks))
            call.cancel()
            call.cancel()
            call.resume()
            await left.wait()
            assert receiver.ends == []

    run(scenario())


def test_cancelling_before_the_body_was_asked_for_closes_the_connection(run: Run) -> None:
    async def scenario() -> None:
        left = asyncio.Event()
        async with asking(one_word_then_waiting(left)) as (upstream, _):
            call = await upstream.ask(ASK)
            call.cancel()
            await left.wait()
            receiver = Recorder()
            call.stream(receiver)
            assert (receiver.chunks, receiver.ends) == ([], [])

    run(scenario())


def test_a_receiver_may_cancel_from_inside_data(run: Run) -> None:
    async def scenario() -> None:
        left = asyncio.Event()
        async with asking(one_word_then_waiting(left)) as (upstream, _):
            call = await upstream.ask(ASK)
            receiver = Recorder()
            receiver.on_data = lambda chunk: call.cancel()
            call.stream(receiver)
            await left.wait()
            assert (receiver.body, receiver.ends) == (b"hello", [])

    run(scenario())


def test_cancelling_an_answer_that_was_read_whole_keeps_its_connection(run: Run) -> None:
    async def scenario() -> None:
        async with asking(answering(HEAD + HELLO + LAST)) as (upstream, server):
            for _ in range(3):
                call = await upstream.ask(ASK)
                receiver = Recorder()
                seen = asyncio.Event()

                def stop(chunk: bytes, call: Call = call, seen: asyncio.Event = seen) -> None:
                    call.cancel()
                    seen.set()

                receiver.on_data = stop
                call.stream(receiver)
                await seen.wait()
                assert receiver.ends == []
            assert server.accepted == 1

    run(scenario())


def test_cancelling_the_task_that_asks_closes_the_connection(run: Run) -> None:
    async def scenario() -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            asked.set()
            await peer.left()
            left.set()

        async with asking(script) as (upstream, server):
            task = asyncio.ensure_future(upstream.ask(ASK))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await left.wait()
            assert server.accepted == 1

    run(scenario())


def test_closing_the_client_cuts_what_runs_and_refuses_what_comes(run: Run) -> None:
    async def scenario() -> None:
        left = asyncio.Event()
        async with asking(one_word_then_waiting(left)) as (upstream, _):
            call = await upstream.ask(ASK)
            receiver = Recorder()
            call.stream(receiver)
            await receiver.until(lambda: bool(receiver.chunks))
            await upstream.close()
            assert receiver.ends == [BodyEnd.CUT]
            await left.wait()
            with pytest.raises(UpstreamUnreachable, match="closed"):
                await upstream.ask(ASK)

    run(scenario())


# --- read ---


def test_reading_stops_at_the_limit_and_leaves(run: Run) -> None:
    async def scenario() -> None:
        left = asyncio.Event()
        async with asking(one_word_then_waiting(left)) as (upstream, _):
            assert await (await upstream.ask(ASK)).read(3) == b"hel"
            await left.wait()

    run(scenario())


def test_reading_a_cut_body_raises(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + HELLO)

    async def scenario() -> None:
        async with asking(script) as (upstream, _):
            call = await upstream.ask(ASK)
            with pytest.raises(UpstreamBroken, match="middle of its answer"):
                await call.read(100)

    run(scenario())


# --- clocks ---


def test_a_head_that_does_not_come_runs_out_the_first_byte_clock(run: Run) -> None:
    async def scenario() -> None:
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2")
            await peer.left()
            left.set()

        async with asking(script, clocks=Clocks(first_byte=0.05)) as (upstream, _):
            with pytest.raises(UpstreamTimeout, match=r"first_byte clock of 0\.05 s"):
                await upstream.ask(ASK)
            await left.wait()

    run(scenario())


def test_the_total_clock_runs_while_the_head_is_awaited(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.left()

    async def scenario() -> None:
        async with asking(script, clocks=Clocks(total=0.05)) as (upstream, server):
            with pytest.raises(UpstreamTimeout, match=r"total clock of 0\.05 s"):
                await upstream.ask(ASK)
            assert server.accepted == 1

    run(scenario())


@pytest.mark.parametrize(
    ("clocks", "outcome", "name"),
    [
        (Clocks(silence=0.05), BodyEnd.SILENT, "silence"),
        (Clocks(total=0.5), BodyEnd.OVERTIME, "total"),
    ],
    ids=["silence", "total"],
)
def test_a_body_that_stalls_ends_by_its_own_clock(
    run: Run, clocks: Clocks, outcome: BodyEnd, name: str
) -> None:
    async def scenario() -> None:
        left = asyncio.Event()
        async with asking(one_word_then_waiting(left), clocks=clocks) as (upstream, _):
            assert await taken(await upstream.ask(ASK)) == (b"hello", outcome)
            await left.wait()
            call = await upstream.ask(ASK)
            with pytest.raises(UpstreamTimeout, match=f"{name} clock"):
                await call.read(100)

    run(scenario())


def test_the_total_clock_runs_while_words_still_come(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)
        while True:
            await peer.send(HELLO)
            await asyncio.sleep(0.01)

    async def scenario() -> None:
        async with asking(script, clocks=Clocks(total=0.5)) as (upstream, _):
            body, how = await taken(await upstream.ask(ASK))
            assert how is BodyEnd.OVERTIME
            assert body.startswith(b"hellohello")

    run(scenario())


def test_words_put_off_the_silence_clock(run: Run) -> None:
    clocks = Clocks(silence=0.6)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)
        for _ in range(10):
            await peer.send(HELLO)
            await asyncio.sleep(0.1)
        await peer.send(LAST)

    async def scenario() -> None:
        async with asking(script, clocks=clocks) as (upstream, _):
            assert await taken(await upstream.ask(ASK)) == (b"hello" * 10, BodyEnd.COMPLETE)

    run(scenario())


def test_silence_is_not_counted_while_paused(run: Run) -> None:
    clocks = Clocks(silence=0.5)

    async def scenario() -> None:
        resumed = asyncio.Event()

        async def script(peer: Peer) -> None:
            if (await peer.request()).startswith(b"GET"):
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return
            await peer.send(HEAD + HELLO)
            await resumed.wait()
            await peer.send(HELLO + LAST)

        async with asking(script, clocks=clocks) as (upstream, _):
            call = await upstream.ask(ASK)
            receiver = Recorder()
            call.stream(receiver)
            await receiver.until(lambda: bool(receiver.chunks))
            call.pause()
            stop = asyncio.get_running_loop().time() + 2 * clocks.silence
            while asyncio.get_running_loop().time() < stop:
                await (await upstream.ask(GET)).read(1)
            assert receiver.ends == []
            resumed.set()
            call.resume()
            assert await receiver.ended() is BodyEnd.COMPLETE
            assert receiver.body == b"hellohello"

    run(scenario())


@pytest.mark.parametrize("name", ["connect", "first_byte", "silence", "total"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_clock_of_no_length_is_refused(name: str, seconds: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Clocks(**{name: seconds})
