"""Slots: first come, first served, and none is lost whatever its owner does."""

from __future__ import annotations

import asyncio
import random

import pytest

from tailrace.errors import UpstreamQueueTimeout
from tailrace.upstream.routing.slots import Slots
from tests.upstream.conftest import Run

LONG = 60.0


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def waiter(slots: Slots, timeout: float = LONG) -> asyncio.Task[bool]:
    return asyncio.ensure_future(slots.take(timeout, "one"))


def test_without_a_limit_there_is_always_room(run: Run) -> None:
    async def scenario() -> None:
        slots = Slots(0, 0)
        for _ in range(1000):
            assert await slots.take(0, "one")
        assert slots.free
        assert not slots.full

    run(scenario())


def test_those_who_wait_are_served_in_their_order(run: Run) -> None:
    async def scenario() -> None:
        slots = Slots(1, 10)
        assert await slots.take(LONG, "one")
        order: list[int] = []

        async def wait(number: int) -> None:
            assert await slots.take(LONG, "one")
            order.append(number)

        tasks = [asyncio.ensure_future(wait(number)) for number in range(5)]
        await turn()
        for _ in tasks:
            slots.give_back()
            assert not slots.free, "it is passed on, so that nobody overtakes"
            await turn()
        assert order == [0, 1, 2, 3, 4]
        slots.give_back()
        assert slots.taken == 0

    run(scenario())


def test_the_queue_has_a_bound(run: Run) -> None:
    async def scenario() -> None:
        slots = Slots(1, 2)
        await slots.take(LONG, "one")
        tasks = [waiter(slots)]
        await turn()
        assert not slots.full
        tasks.append(waiter(slots))
        await turn()
        assert slots.full
        assert Slots(1, 0).full is False, "full is who can neither have a slot nor wait"
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert not slots.full

    run(scenario())


def test_waiting_ends(run: Run) -> None:
    async def scenario() -> None:
        slots = Slots(1, 2)
        await slots.take(LONG, "one")
        with pytest.raises(UpstreamQueueTimeout, match="'one'"):
            await slots.take(0.01, "one")
        slots.give_back()
        assert slots.taken == 0
        assert slots.free

    run(scenario())


def test_who_goes_in_the_moment_of_getting_one_passes_it_on(run: Run) -> None:
    async def scenario() -> None:
        slots = Slots(1, 2)
        await slots.take(LONG, "one")
        first, second = waiter(slots), waiter(slots)
        await turn()
        slots.give_back()
        first.cancel()  # it has the slot already, and does not know
        assert await second
        assert first.cancelled() or first.done()
        slots.give_back()
        assert slots.taken == 0

    run(scenario())


def test_other_bounds_let_those_in_who_wait_and_take_nothing_away(run: Run) -> None:
    async def scenario() -> None:
        slots = Slots(1, 9)
        await slots.take(LONG, "one")
        tasks = [waiter(slots) for _ in range(3)]
        await turn()
        slots.resize(3, 9)
        await turn()
        assert [task.done() for task in tasks] == [True, True, False]
        slots.resize(1, 9)
        slots.give_back()
        slots.give_back()
        await turn()
        assert not tasks[2].done()
        slots.give_back()
        assert await tasks[2]

    run(scenario())


def test_those_who_wait_can_be_sent_away(run: Run) -> None:
    async def scenario() -> None:
        slots = Slots(1, 9)
        await slots.take(LONG, "one")
        tasks = [waiter(slots) for _ in range(3)]
        await turn()
        slots.dismiss()
        assert await asyncio.gather(*tasks) == [False] * 3
        assert slots.taken == 1

    run(scenario())


@pytest.mark.parametrize("seed", range(10))
def test_no_slot_is_lost_nor_made(run: Run, seed: int) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)
        slots = Slots(3, 50)
        most = 0

        async def live() -> None:
            nonlocal most
            try:
                if not await slots.take(chance.choice([0.001, 0.01, LONG]), "one"):
                    return
            except UpstreamQueueTimeout:
                return
            try:
                most = max(most, slots.taken)
                await asyncio.sleep(chance.random() / 500)
            finally:
                slots.give_back()

        tasks = [asyncio.ensure_future(live()) for _ in range(40)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(chance.random() / 500)
            chance.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= 3
        assert slots.taken == 0
        assert slots.free

    print(f"seed {seed}")
    run(scenario())
