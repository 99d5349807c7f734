"""Reading beside writing: what is shared, what stays in memory, what a reader may not see."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from pathlib import Path

import pytest

from tailrace.errors import NotFound, StreamIsClosed
from tailrace.model import EndingKind
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker, read_all
from tests.stores.sqlite.medium import Disk, filled, written


def test_equal_reads_at_the_same_time_are_one_query(tmp_path: Path) -> None:
    async def main() -> None:
        path, disk = tmp_path / "a.db", Disk()
        generation, *_ = await filled(path)
        store = SqliteStore(path, connector=disk.connect)
        await store.open()
        while len(await store.read(generation, 0, 1 << 20)) < 20 or disk.statements[-1] != "COMMIT":
            await asyncio.sleep(0.005)
        disk.statements.clear()
        found = await asyncio.gather(*(store.read(generation, 3, 5000) for _ in range(50)))
        assert all(events == found[0] for events in found)
        assert [event.seq for event in found[0]] == [4, 5]
        assert sum("FROM segments" in sql for sql in disk.statements) == 1
        found[0].clear()
        assert found[1]
        await store.close()

    asyncio.run(main())


def test_one_who_gives_up_takes_the_answer_from_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "a.db"
        generation, *_ = await filled(path)
        store = SqliteStore(path)
        await store.open()
        first, *others = [
            asyncio.ensure_future(read_all(store, generation, limit=5000)) for _ in range(5)
        ]
        await asyncio.sleep(0)
        first.cancel()
        assert [len(events) for events in await asyncio.gather(*others)] == [20] * 4
        await store.close()

    asyncio.run(main())


def test_memory_does_not_grow_with_closed_streams(tmp_path: Path) -> None:
    async def main() -> None:
        maker = Maker()
        store = SqliteStore(tmp_path / "a.db", durability="process", commit_interval=0.001)
        await store.open()

        async def make(names: range) -> None:
            for n in names:
                info, _ = written(maker, store, f"s/{n}", bytes(5000))
                number = store.write(maker.append(info.generation, ending=EndingKind.COMPLETED))
                if n % 20 == 0:
                    await store.committed(number)
            # Two more commits: what closed last has moved by then.
            for n in range(2):
                await store.committed(store.write(maker.create(f"{names}/{n}")))

        await make(range(100))
        gc.collect()
        tracemalloc.start()
        await make(range(100, 1100))
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert grown < 1_000_000, "a thousand closed streams of 5 kB are still in memory"
        assert (await store.list("s/")).total_streams == 1100
        await store.close()

    asyncio.run(main())


def test_only_an_open_stream_takes_events(tmp_path: Path) -> None:
    async def main() -> None:
        store, maker = SqliteStore(tmp_path / "a.db"), Maker()
        await store.open()
        create = maker.create("s")
        append = maker.append(create.info.generation, b"x")
        with pytest.raises(NotFound):
            store.write(append)
        store.write(create)
        store.write(maker.append(create.info.generation, ending=EndingKind.COMPLETED))
        with pytest.raises(StreamIsClosed):
            store.write(append)
        await store.close()

    asyncio.run(main())
