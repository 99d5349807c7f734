"""Clocks over a loop whose time is the test's: what waits to be read is read before they ring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tailrace.patience import GAP, GRACE, Alarm, grace, timeout


class Loop:
    """As much of an event loop as an alarm uses; ``run`` rings what is due, once."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, callback: Callable[[], None]) -> Any:
        self._timers.append((due, callback))
        return None

    def run(self, now: float) -> None:
        self.now = now
        due = [each for each in self._timers if each[0] <= now]
        self._timers = [each for each in self._timers if each[0] > now]
        for _, callback in due:
            callback()


def test_a_clock_in_time_is_believed_after_one_look_at_the_sockets() -> None:
    loop, rung = Loop(), list[float]()
    Alarm(loop, 5.0, lambda: rung.append(loop.now))  # type: ignore[arg-type]
    loop.run(5.001)
    assert not rung
    loop.run(5.001)
    assert rung == [5.001]


def test_a_clock_that_is_late_gives_what_waits_a_second_at_most() -> None:
    loop, rung = Loop(), list[float]()
    Alarm(loop, 5.0, lambda: rung.append(loop.now))  # type: ignore[arg-type]
    loop.run(60.0)
    loop.run(60.9)
    assert not rung
    loop.run(61.0)
    assert rung == [61.0]


def test_a_loop_that_is_always_late_has_its_clocks_ring_all_the_same() -> None:
    loop, rung = Loop(), list[float]()
    Alarm(loop, 5.0, lambda: rung.append(loop.now))  # type: ignore[arg-type]
    for turn in range(1, 10):
        loop.run(5.0 + turn * 10)
    assert len(rung) == 1


@pytest.mark.parametrize(
    ("late", "more"), [(0.0, 0.0), (GAP / 2, 0.0), (GAP, GAP), (0.5, 0.5), (3600.0, GRACE)]
)
def test_the_time_to_read_is_as_long_as_the_gap_up_to_a_second(late: float, more: float) -> None:
    assert grace(late) == more


def test_a_result_that_came_in_the_gap_wins_over_the_timeout() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        reading, writing = await asyncio.open_connection(*address)
        loop.call_later(0.01, _stand_still, 0.3)
        async with timeout(0.1):
            assert await reading.read(1) == b"x"
        writing.close()
        await writing.wait_closed()

    def _stand_still(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        peers[0].write(b"x")
        while loop.time() < until:
            pass

    peers: list[asyncio.StreamWriter] = []
    address: tuple[str, int] = ("", 0)

    async def serve() -> None:
        nonlocal address
        server = await asyncio.start_server(lambda _, peer: peers.append(peer), "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()[:2]
            await scenario()
            peers[0].close()

    asyncio.run(serve())


def test_a_timeout_without_news_is_a_timeout() -> None:
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with timeout(0.01):
                await asyncio.Event().wait()

    asyncio.run(scenario())
