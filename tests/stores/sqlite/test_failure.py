"""The SQLite store on a medium that fails, and after it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace.errors import StoreError, StoreFull, StoreUnavailable
from tailrace.model import EndingKind, Event
from tailrace.stores import SqliteStore
from tailrace.stores.sqlite.writer import connect
from tailrace.testing.store_model import Maker, read_all
from tests.stores.sqlite.medium import Disk, error, filled, until, written

FULL = error(sqlite3.SQLITE_FULL, "database or disk is full")
IOERR = error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")


async def journalled(path: Path) -> dict[str, list[Event]]:
    """What another process would find in the file: every stream's events."""
    store = SqliteStore(path)
    await store.open()
    listing = await store.list("")
    found = {info.name: await read_all(store, info.generation) for info in listing.streams}
    await store.close()
    return found


@pytest.mark.parametrize(
    ("fault", "raised", "full"), [(FULL, StoreFull, True), (IOERR, StoreUnavailable, False)]
)
@pytest.mark.parametrize("when", ["BEGIN", "INSERT INTO journal", "COMMIT"])
def test_a_failed_commit_is_told_and_made_good_once(
    tmp_path: Path, fault: sqlite3.Error, raised: type[StoreError], full: bool, when: str
) -> None:
    async def main() -> None:
        disk, maker = Disk(), Maker()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, commit_interval=0.001)
        await store.open()
        info, number = written(maker, store, "s", b"before")
        await store.committed(number)
        opened = disk.opened

        disk.when, disk.fault = when, fault
        lost = maker.append(info.generation, b"during")
        number = store.write(lost)
        with pytest.raises(raised):
            await store.committed(number)
        health = store.health()
        assert health.failure
        assert health.full is full
        assert health.uncommitted > 0
        later = store.write(maker.append(info.generation, b"meanwhile"))
        with pytest.raises(raised):
            await store.committed(later)
        assert len(await read_all(store, info.generation)) == 3

        disk.fault = None
        await until(lambda: not store.health().failure)
        await store.committed(later)
        assert disk.opened > opened, "a connection that failed must not be used again"
        expected = await read_all(store, info.generation)
        await store.close()
        assert [event.data for event in expected] == [b"before", b"during", b"meanwhile"]
        assert await journalled(tmp_path / "a.db") == {"s": expected}

    asyncio.run(main())


def test_a_commit_that_took_effect_and_yet_failed_is_not_doubled(tmp_path: Path) -> None:
    async def main() -> None:
        disk, maker = Disk(), Maker()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, commit_interval=0.001)
        await store.open()
        disk.fault, disk.done_first = IOERR, True
        info, number = written(maker, store, "s", b"one", b"two")
        with pytest.raises(StoreUnavailable):
            await store.committed(number)
        disk.fault = None
        number = store.write(maker.append(info.generation, b"three"))
        await until(lambda: not store.health().failure)
        await store.committed(number)
        expected = await read_all(store, info.generation)
        assert len(expected) == 3
        await store.close()
        assert await journalled(tmp_path / "a.db") == {"s": expected}

    asyncio.run(main())


def test_too_much_uncommitted_is_congestion_until_it_is_written(tmp_path: Path) -> None:
    async def main() -> None:
        disk, maker = Disk(), Maker()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, max_uncommitted=100_000)
        await store.open()
        disk.fault = IOERR
        info, number = written(maker, store, "s", b"x" * 10_000)
        with pytest.raises(StoreUnavailable):
            await store.committed(number)
        assert not store.health().congested
        for _ in range(10):
            store.write(maker.append(info.generation, b"x" * 10_000))
        assert store.health().congested
        disk.fault = None
        await until(lambda: not store.health().failure)
        assert not store.health().congested
        await store.close()

    asyncio.run(main())


def test_closing_while_the_disk_fails_ends_and_tells_who_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        disk, maker = Disk(), Maker()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect)
        await store.open()
        info, number = written(maker, store, "kept", b"x")
        await store.committed(number)
        disk.fault = IOERR
        number = store.write(maker.append(info.generation, b"lost"))
        with pytest.raises(StoreUnavailable):
            await store.committed(number)
        await store.close()
        disk.fault = None
        found = await journalled(tmp_path / "a.db")
        assert [event.data for event in found["kept"]] == [b"x"]

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert "closed while its medium failed" in caplog.text


def test_on_a_full_disk_a_delete_makes_room_for_what_waits(tmp_path: Path) -> None:
    """SQLite's own limit on pages, not an injected error."""
    pages = 200
    dice = random.Random(pages)  # of what it gives nothing can be compressed

    def small(uri: str) -> sqlite3.Connection:
        connection = connect(uri)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    async def main() -> None:
        maker = Maker()
        store = SqliteStore(tmp_path / "a.db", connector=small, commit_interval=0.001)
        await store.open()
        large, number = written(maker, store, "large", *(dice.randbytes(10_000) for _ in range(40)))
        store.write(maker.append(large.generation, ending=EndingKind.COMPLETED))
        info, number = written(maker, store, "small", b"kept")
        with contextlib.suppress(StoreFull):
            await store.committed(number)
        while not store.health().full:
            number = store.write(maker.append(info.generation, dice.randbytes(20_000)))
            with contextlib.suppress(StoreFull):
                await store.committed(number)
        expected = await read_all(store, info.generation)
        await store.delete([large.generation], lambda: None)
        await until(lambda: not store.health().failure)
        await store.committed(number)
        assert await read_all(store, info.generation) == expected
        await store.close()
        assert await journalled(tmp_path / "a.db") == {"small": expected}

    asyncio.run(main())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on a process's files")
def test_a_real_limit_on_file_size_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    script = """
import asyncio, resource, signal, sys
from tailrace.errors import StoreError
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store, maker = SqliteStore(sys.argv[1]), Maker()
    await store.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    create = maker.create("s")
    store.write(create)
    acknowledged = 0
    for _ in range(1000):
        number = store.write(maker.append(create.info.generation, b"x" * 5000))
        try:
            await store.committed(number)
        except StoreError:
            break
        acknowledged += 1
    print(acknowledged, bool(store.health().failure))
    await store.close()

asyncio.run(main())
"""
    path = tmp_path / "a.db"
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60, check=True
    )
    acknowledged, failed = done.stdout.split()
    assert failed == "True"
    assert 0 < int(acknowledged) < 1000
    found = asyncio.run(journalled(path))
    assert [event.seq for event in found["s"]][: int(acknowledged)] == list(
        range(1, int(acknowledged) + 1)
    )


def test_a_damaged_segment_fails_its_own_reads_only(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "a.db"
        first, second, _ = await filled(path)
        store = SqliteStore(path)
        await store.open()
        await store.close()  # what closed last is in segments after one more start
        connection = sqlite3.connect(path)
        changed = connection.execute(
            "UPDATE segments SET crc = crc + 1 WHERE stream ="
            " (SELECT id FROM streams WHERE generation = ?)",
            (first,),
        )
        assert changed.rowcount > 0
        connection.commit()
        connection.close()

        store = SqliteStore(path)
        await store.open()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await store.read(first, 0, 1000)
            assert len(await read_all(store, second)) == 20
        assert store.health().failure == ""
        await store.close()

    asyncio.run(main())


def test_a_reading_disk_that_fails_is_told_and_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        path, disk = tmp_path / "a.db", Disk()
        generation, *_ = await filled(path)
        store = SqliteStore(path, connector=disk.connect)
        await store.open()
        await until(lambda: store.health().uncommitted == 0)
        disk.fault, disk.when = IOERR, "SELECT"
        with pytest.raises(StoreUnavailable):
            await store.find("nobody")
        disk.fault = None
        assert await store.find("nobody") is None
        assert len(await read_all(store, generation)) == 20
        await store.close()

    asyncio.run(main())
