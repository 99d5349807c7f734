"""Deletes that go ahead of what waits, on a medium that fails, and after a crash."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tailrace.errors import StoreError, StoreFull, StoreUnavailable
from tailrace.model import EndingKind, Offset
from tailrace.stores import SqliteStore
from tailrace.testing.store_client_rules import fork_of
from tailrace.testing.store_model import Maker, is_unknown, read_all, settle
from tests.stores.sqlite.medium import Disk, error, until, written

FULL = error(sqlite3.SQLITE_FULL, "database or disk is full")
IOERR = error(sqlite3.SQLITE_IOERR_WRITE, "disk I/O error")


@pytest.mark.parametrize(("fault", "raised"), [(FULL, StoreFull), (IOERR, StoreUnavailable)])
@pytest.mark.parametrize("when", ["BEGIN", "DELETE FROM streams", "COMMIT"])
def test_a_delete_that_was_refused_has_not_happened_and_never_will(
    tmp_path: Path, fault: sqlite3.Error, raised: type[StoreError], when: str
) -> None:
    async def main() -> None:
        disk, maker, told = Disk(), Maker(), list[str]()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect)
        await store.open()
        kept, _ = written(maker, store, "kept", b"1", b"2")
        await settle(store, maker.append(kept.generation, ending=EndingKind.COMPLETED))
        gone, number = written(maker, store, "gone", b"1")
        await store.committed(number)
        disk.when, disk.fault = when, fault
        with pytest.raises(raised):
            await store.delete([kept.generation], lambda: told.append("kept"))
        disk.fault = None
        assert not told
        await store.delete([gone.generation], lambda: told.append("gone"))
        assert told == ["gone"]
        for _ in range(2):
            assert await store.find("gone") is None
            found = await store.find("kept")
            assert found is not None
            assert len(await read_all(store, kept.generation)) == 2
            await store.close()
            store = SqliteStore(tmp_path / "a.db")
            await store.open()
        await store.close()

    asyncio.run(main())


def test_a_delete_goes_ahead_of_what_cannot_be_committed_and_ends_the_pause(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        disk, maker = Disk(), Maker()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, commit_interval=0.001)
        await store.open()
        kept, number = written(maker, store, "kept", b"1")
        gone, number = written(maker, store, "gone", b"1")
        await store.committed(number)
        disk.when, disk.fault = "INSERT INTO journal", FULL
        store.write(maker.append(gone.generation, b"lost with its stream"))
        number = store.write(maker.append(kept.generation, b"2"))
        with pytest.raises(StoreFull):
            await store.committed(number)

        def make_room() -> None:
            disk.fault = None

        await store.delete([gone.generation], make_room)
        assert await is_unknown(store, gone.generation)
        await until(lambda: not store.health().failure)
        await store.committed(number)
        for _ in range(2):
            assert [info.name for info in (await store.list("")).streams] == ["kept"]
            assert [e.data for e in await read_all(store, kept.generation)] == [b"1", b"2"]
            await store.close()
            store = SqliteStore(tmp_path / "a.db")
            await store.open()
        await store.close()

    asyncio.run(main())


def test_what_was_kept_for_a_fork_that_a_crash_took_is_erased_at_the_next_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"

    async def main() -> None:
        maker = Maker()
        store = SqliteStore(path)
        await store.open()
        source, number = written(maker, store, "source", b"1")
        await store.committed(number)
        fork = fork_of(maker, "fork", Offset(source.generation, 1))
        await settle(store, fork)
        await store.delete([source.generation], lambda: None)
        await store.close()
        connection = sqlite3.connect(path)
        connection.execute("DELETE FROM streams WHERE name = 'fork'")
        connection.commit()
        connection.close()
        store = SqliteStore(path)
        await store.open()
        assert await is_unknown(store, source.generation)
        await store.close()

    asyncio.run(main())
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM streams").fetchone() == (0,)
    connection.close()
