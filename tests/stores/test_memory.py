"""The memory store's limit."""

from __future__ import annotations

import asyncio

import pytest

from tailrace.contracts import Delete
from tailrace.errors import NotFound, StoreFull, StreamIsClosed
from tailrace.model import EndingKind
from tailrace.stores import MemoryStore
from tailrace.testing.store_model import Maker, read_all


def test_over_its_limit_the_store_says_so_and_refuses_what_went_over() -> None:
    async def main() -> None:
        store, maker = MemoryStore(limit=10_000), Maker()
        first, second = maker.create("a"), maker.create("b")
        store.write(first)
        store.write(second)
        fits = maker.append(first.info.generation, b"x" * 3000)
        accepted = store.write(fits)
        assert store.health().failure == ""
        refused = store.write(maker.append(second.info.generation, b"y" * 9000))
        health = store.health()
        assert (health.full, health.congested) == (True, True)
        assert "full" in health.failure
        await store.committed(accepted)
        with pytest.raises(StoreFull):
            await store.committed(refused)
        assert await read_all(store, first.info.generation) == fits.events

        await store.committed(store.write(Delete(second.info.generation)))
        assert store.health().failure == ""
        await store.committed(store.write(maker.append(first.info.generation, b"x" * 3000)))

    asyncio.run(main())


def test_the_limit_counts_what_small_events_really_take() -> None:
    async def main() -> None:
        store, maker = MemoryStore(limit=100_000), Maker()
        create = maker.create("s")
        store.write(create)
        for _ in range(1000):
            store.write(maker.append(create.info.generation, b"x"))
        assert store.health().full

    asyncio.run(main())


def test_only_an_open_stream_takes_events() -> None:
    store, maker = MemoryStore(), Maker()
    create = maker.create("s")
    append = maker.append(create.info.generation, b"x")
    with pytest.raises(NotFound):
        store.write(append)
    store.write(create)
    store.write(maker.append(create.info.generation, ending=EndingKind.COMPLETED))
    with pytest.raises(StreamIsClosed):
        store.write(append)
