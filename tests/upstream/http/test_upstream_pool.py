"""Idle connections: the last one first, not too many, not too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tailrace.upstream.http.connection import UpstreamConnection
from tailrace.upstream.http.pool import Pool
from tests.upstream.conftest import Run
from tests.upstream.raw_server import Peer, serving


class Idle:
    """Opens connections to a server that counts who leaves, in order of their arrival."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.opened: list[UpstreamConnection] = []

    async def open(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: UpstreamConnection(lambda gone: None), "127.0.0.1", self.port
        )
        self.opened.append(connection)
        return connection


@asynccontextmanager
async def opening(close_at_once: bool = False) -> AsyncIterator[Idle]:
    async def script(peer: Peer) -> None:
        if not close_at_once:
            await peer.left()

    async with serving(script) as server:
        idle = Idle(server.port)
        try:
            yield idle
        finally:
            for connection in idle.opened:
                connection.abort()
            await asyncio.gather(*(connection.gone for connection in idle.opened))


def test_the_connection_used_last_is_taken_first(run: Run) -> None:
    async def scenario() -> None:
        async with opening() as idle:
            pool = Pool()
            first, second = await idle.open(), await idle.open()
            pool.put(first)
            pool.put(second)
            assert [pool.take(), pool.take(), pool.take()] == [second, first, None]
            pool.close()

    run(scenario())


def test_a_connection_that_ended_while_idle_is_not_given_out(run: Run) -> None:
    async def scenario() -> None:
        async with opening(close_at_once=True) as idle:
            pool = Pool()
            connection = await idle.open()
            pool.put(connection)
            await connection.gone
            assert pool.take() is None
            pool.put(connection)
            assert pool.take() is None
            pool.close()

    run(scenario())


def test_the_oldest_makes_room_at_the_limit(run: Run) -> None:
    async def scenario() -> None:
        async with opening() as idle:
            pool = Pool(limit=2)
            first, second, third = [await idle.open() for _ in range(3)]
            for connection in (first, second, third):
                pool.put(connection)
            await first.gone
            assert [pool.take(), pool.take(), pool.take()] == [third, second, None]
            pool.close()

    run(scenario())


def test_an_idle_connection_is_closed_when_its_time_is_over(run: Run) -> None:
    async def scenario() -> None:
        async with opening() as idle:
            pool = Pool(seconds=0.05)
            first, second = await idle.open(), await idle.open()
            pool.put(first)
            await first.gone
            pool.put(second)
            await second.gone
            assert pool.take() is None

    run(scenario())


def test_closing_the_pool_closes_what_is_idle(run: Run) -> None:
    async def scenario() -> None:
        async with opening() as idle:
            pool = Pool()
            connection = await idle.open()
            pool.put(connection)
            pool.close()
            await connection.gone
            assert pool.take() is None

    run(scenario())
