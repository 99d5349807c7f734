"""Connections between two requests: how long they are kept, and who is not cut off by that."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tailrace.config import Settings
from tailrace.http1.head_limits import Limits
from tests.http1.http1_harness import (
    Client,
    LoopFactory,
    Served,
    echo,
    loop_factories,
    run,
    serving,
    start,
    until,
    write,
)

REQUEST = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"GET /x "

each_loop = pytest.mark.parametrize("loop", loop_factories())


class ShiftedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock the test can put forward."""

    shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


async def ask(client: Client) -> bool:
    """Whether the server answers a request on this connection."""
    try:
        await client.send(REQUEST)
        await client.head()
        return await client.reader.readexactly(len(ANSWER)) == ANSWER
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


async def connect(served: Served) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", served.port))


def test_a_load_balancer_that_keeps_connections_for_a_minute_loses_no_request() -> None:
    """As one does that came with 5 s here, where 182 of 200 requests died."""

    async def test() -> None:
        loop: Any = asyncio.get_running_loop()
        patience = Settings().keepalive_timeout
        async with serving(echo, keepalive_timeout=patience) as served:
            pool = [await connect(served) for _ in range(20)]
            for _ in range(10):
                assert all([await ask(client) for client in pool])
                loop.shift += 60.0  # what AWS and nginx keep an idle connection for
            loop.shift += patience
            ends = await asyncio.gather(*(client.reader.read() for client in pool))
            assert ends == [b""] * 20
            for client in pool:
                client.writer.close()

    with asyncio.Runner(loop_factory=ShiftedLoop) as runner:  # a deadline would be put forward, too
        runner.run(test())


def blocked_by_a_reader(send: Callable[[], object], _: asyncio.TimerHandle) -> None:
    """Have ``send`` called in the turn of the loop after which libuv looks at its timers."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()

    def block() -> None:
        loop.remove_reader(ours)
        ours.close()
        send()
        time.sleep(0.2)  # what blocks the loop: the connection's timer is due now

    loop.add_reader(ours, block)
    theirs.send(b"x")
    theirs.close()


def just_before_the_timer(send: Callable[[], object], timer: asyncio.TimerHandle) -> None:
    """Have ``send`` called by asyncio's loop after it looked at its sockets for the last time."""
    asyncio.get_running_loop().call_at(timer.when() - 1e-9, send)


@asynccontextmanager
async def second_hand(client: Client) -> AsyncIterator[Callable[[bytes], object]]:
    """Sends on the client's connection at once, without the loop."""
    raw = client.writer.get_extra_info("socket")
    with socket.socket(fileno=socket.dup(raw.fileno())) as sender:
        yield sender.send


def late_ways() -> list[Any]:
    """Each loop with a way in which bytes come after its last look and before its timers."""
    ways = {"asyncio": just_before_the_timer, "uvloop": blocked_by_a_reader}
    return [pytest.param(each.values[0], ways[each.id], id=each.id) for each in loop_factories()]


each_late = pytest.mark.parametrize(("loop", "late"), late_ways())


@each_late
def test_a_request_that_came_before_the_idle_timer_fired_is_answered(
    loop: LoopFactory, late: Callable[..., None]
) -> None:
    async def test() -> None:
        async with serving(echo, keepalive_timeout=0.05) as served, served.client() as client:
            async with second_hand(client) as send:
                assert await ask(client)
                await until(lambda: served.connection._timers._idle is not None)
                late(lambda: send(REQUEST), served.connection._timers._idle)
                assert (await client.head()).startswith(b"HTTP/1.1 200")
            assert (await client.reader.read()) == ANSWER  # and closed once it is idle again

    run(loop, test())


@each_late
def test_a_head_that_came_before_its_timer_fired_is_answered(
    loop: LoopFactory, late: Callable[..., None]
) -> None:
    async def test() -> None:
        limits = Limits(head_timeout=0.05)
        async with (
            serving(echo, limits) as served,
            served.client() as client,
            second_hand(client) as send,
        ):
            await until(lambda: bool(served.state.connections))
            late(lambda: send(REQUEST), served.connection._timers._deadline)
            assert (await client.head()).startswith(b"HTTP/1.1 200")

    run(loop, test())


@each_loop
def test_half_a_head_behind_a_body_has_the_time_of_a_head_and_not_of_an_idle_connection(
    loop: LoopFactory,
) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send, (b"content-length", b"0"))
            await write(send, b"", more=False)

        async with serving(app, Limits(head_timeout=0.05)) as served, served.client() as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx")
            assert (await client.head()).startswith(b"HTTP/1.1 200")
            await client.send(b"yGET /half")
            assert await client.reader.read() == b""

    run(loop, test())
