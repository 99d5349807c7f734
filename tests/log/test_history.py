"""Reads behind the window: shared, bounded in number, and none is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tailrace.contracts import Store
from tailrace.log.history import PARALLEL, Fetch, History
from tailrace.model import DATA, Event, make_event

GENERATION = "g"


class HeldReads:
    """The reading half of a store whose reads end when the test says so."""

    def __init__(self) -> None:
        self.reads: dict[int, asyncio.Future[list[Event]]] = {}

    async def read(self, generation: str, after: int, limit: int) -> list[Event]:
        del generation, limit
        self.reads[after] = asyncio.get_running_loop().create_future()
        return await self.reads[after]

    def give(self, after: int) -> None:
        self.reads[after].set_result([make_event((after + 1, 0, DATA, b"{}"))])


async def turn() -> None:
    """What is ready runs."""
    for _ in range(3):
        await asyncio.sleep(0)


def asked(history: History, after: int) -> Fetch:
    fetch = Fetch()
    history.request(GENERATION, after, fetch)
    return fetch


def test_no_more_reads_run_than_may() -> None:
    async def main() -> None:
        store = HeldReads()
        history = History(cast("Store", cast("Any", store)))
        fetches = [asked(history, place) for place in range(PARALLEL + 1)]
        await turn()
        assert list(store.reads) == list(range(PARALLEL))
        store.give(0)
        await fetches[0].done
        await turn()
        assert PARALLEL in store.reads
        await history.close()

    asyncio.run(main())


def test_a_read_asked_for_in_the_turn_in_which_the_others_end_is_made() -> None:
    """It was forgotten: the others counted as running until the turn after, and did not look
    for more. A viewer behind the window then waited for ever, if no other came.
    """

    async def main() -> None:
        store = HeldReads()
        history = History(cast("Store", cast("Any", store)))
        for place in range(PARALLEL):
            asked(history, place)
        await turn()
        for place in range(PARALLEL):
            store.give(place)
        late: list[Fetch] = []
        asyncio.get_running_loop().call_soon(lambda: late.append(asked(history, 100)))
        await turn()
        assert 100 in store.reads
        store.give(100)
        await late[0].done
        assert history.read(GENERATION, 100, 1, 1)
        await history.close()

    asyncio.run(main())
