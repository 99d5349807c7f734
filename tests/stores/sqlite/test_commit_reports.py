"""What the SQLite store says of its commits to whoever wants to know."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tailrace.contracts import DoneCommit, ReportsCommits
from tailrace.errors import StoreError
from tailrace.stores import MemoryStore, SqliteStore
from tailrace.testing.store_model import Maker
from tests.stores.sqlite.medium import Disk, error, until, written

IOERR = error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
# Longer than a test takes: only who awaits `committed` has a commit begin.
NEVER = 600.0


def test_each_commit_is_said_once_with_the_changes_that_it_settled(tmp_path: Path) -> None:
    async def main() -> None:
        maker, said = Maker(), list[DoneCommit]()
        store = SqliteStore(tmp_path / "a.db", commit_interval=NEVER)
        assert isinstance(store, ReportsCommits)
        store.on_commit = said.append
        await store.open()
        info, number = written(maker, store, "s", b"one")
        await store.committed(number)
        assert sum(commit.changes for commit in said) == number
        before = len(said)
        for data in (b"two", b"three", b"four"):
            number = store.write(maker.append(info.generation, data))
        assert len(said) == before
        await store.committed(number)
        assert [commit.changes for commit in said[before:]] == [3]
        assert all(commit.seconds >= 0 for commit in said)
        await store.close()

    asyncio.run(main())


def test_a_commit_that_failed_is_said_once_it_is_durable(tmp_path: Path) -> None:
    async def main() -> None:
        disk, maker, said = Disk(), Maker(), list[DoneCommit]()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, commit_interval=NEVER)
        store.on_commit = said.append
        await store.open()
        info, number = written(maker, store, "s", b"one")
        await store.committed(number)
        said.clear()
        disk.fault = IOERR
        first = store.write(maker.append(info.generation, b"two"))
        with pytest.raises(StoreError):
            await store.committed(first)
        store.write(maker.append(info.generation, b"three"))
        assert said == []
        disk.fault = None
        await until(lambda: not store.health().failure)
        assert [commit.changes for commit in said] == [2]
        await store.close()

    asyncio.run(main())


def test_a_store_without_a_medium_has_no_commits_to_speak_of() -> None:
    assert not isinstance(MemoryStore(), ReportsCommits)
