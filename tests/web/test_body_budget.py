"""Bodies in flight: counted from the first byte on until nobody holds them; work in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Any

import pytest

from tailrace.errors import BodiesFull, BodyTooLarge
from tailrace.web.bodies import ClientGone
from tailrace.web.body_budget import Bodies, Body
from tailrace.web.turns import Turns
from tailrace.wire.slices import Work

KIB = 1024


def running(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def length(size: int) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"content-length", b"%d" % size),)


async def read(
    bodies: Bodies, pieces: Iterable[bytes | None], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Body:
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        piece = waiting.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    return await bodies.read(receive, 1024 * KIB, headers)


@running
async def test_a_body_is_counted_as_long_as_anybody_holds_it() -> None:
    bodies = Bodies(1024 * KIB)
    body = await read(bodies, [b"a" * 1000], length(1000))
    reserved = body.reserved
    assert bodies.held == 1000
    del body
    assert bodies.held == 1000
    del reserved
    assert bodies.held == 0


@running
async def test_an_announced_length_is_counted_before_anything_is_read() -> None:
    bodies = Bodies(1024 * KIB)
    kept = bodies.reserve(800 * KIB)
    with pytest.raises(BodiesFull):
        await read(bodies, [], length(200 * KIB))
    assert bodies.held == 800 * KIB
    del kept
    assert bodies.held == 0


@running
async def test_a_body_in_chunks_is_counted_as_it_grows() -> None:
    bodies = Bodies(1024 * KIB)
    kept = bodies.reserve(800 * KIB)
    with pytest.raises(BodiesFull):
        await read(bodies, [b"a" * 90 * KIB, b"a" * 90 * KIB, b"never read"])
    assert bodies.held == 800 * KIB
    with pytest.raises(ClientGone):
        await read(bodies, [b"a" * 90 * KIB, None])
    assert bodies.held == 800 * KIB
    del kept


@running
async def test_large_bodies_leave_room_for_small_ones() -> None:
    bodies = Bodies(1024 * KIB)
    kept = [bodies.reserve(128 * KIB) for _ in range(7)]
    with pytest.raises(BodiesFull):
        bodies.reserve(128 * KIB)
    kept += [bodies.reserve(64 * KIB) for _ in range(2)]
    with pytest.raises(BodiesFull):
        bodies.reserve(1)


@running
async def test_one_body_alone_always_has_room_and_none_is_larger_than_all() -> None:
    bodies = Bodies(1000 * KIB)
    assert len((await read(bodies, [b"a" * 1000 * KIB], length(1000 * KIB))).data) == 1000 * KIB
    with pytest.raises(BodyTooLarge):
        await read(bodies, [], length(1000 * KIB + 1))


@running
async def test_long_work_of_many_takes_one_turn_of_the_loop_at_a_time() -> None:
    turns = Turns()
    took: list[str] = []

    def work(name: str, until: int) -> Work[str]:
        while took.count(name) < until:
            took.append(name)
            yield
        return name

    async def long(name: str) -> str:
        def busy() -> Work[str]:
            for _ in range(3):
                took.append(name)
                end = asyncio.get_running_loop().time() + 0.002
                while asyncio.get_running_loop().time() < end:
                    pass
                yield
            return name

        return await turns.run(busy())

    assert tuple(await asyncio.gather(long("a"), long("b"))) == ("a", "b")
    assert took == ["a", "b"] * 3
    assert await turns.run(work("short", 5)) == "short"
