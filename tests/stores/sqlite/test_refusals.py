"""Finding the changes that a SQLite store cannot write, and what is not a change's fault."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.contracts import Delete
from tailrace.errors import StoreRefused, StoreUnavailable
from tailrace.model import Event
from tailrace.stores import SqliteStore
from tailrace.stores.sqlite.failures import find_fitting, is_of_medium
from tailrace.testing.store_model import Maker, is_unknown, read_all, settle
from tailrace.testing.store_refusal_rules import Fuse, Trap
from tests.stores.sqlite.medium import Disk, error, until, written


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 41))
def test_all_that_fit_together_are_found_and_nothing_else(well: list[bool], room: int) -> None:
    units = [str(n) for n in range(len(well))]
    trials = 0

    def fits(some: Sequence[str]) -> bool:
        nonlocal trials
        trials += 1
        return len(some) <= room and all(well[int(unit)] for unit in some)

    found = find_fitting(units, fits)
    assert found == [unit for unit in units if well[int(unit)]][:room]
    bad = len(units) - len(found)
    assert trials <= 1 + 2 * bad * (1 + len(units).bit_length())


@pytest.mark.parametrize(
    ("failure", "medium"),
    [
        (error(sqlite3.SQLITE_FULL, "full"), True),
        (error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"), True),
        (error(sqlite3.SQLITE_BUSY, "locked"), True),
        (sqlite3.DatabaseError("malformed"), True),
        (OSError(28, "No space left on device"), True),
        (error(sqlite3.SQLITE_TOOBIG, "string or blob too big"), False),
        (sqlite3.IntegrityError("UNIQUE constraint failed"), False),
        (sqlite3.InterfaceError("type not supported"), False),
        (MemoryError(), False),
        (OverflowError("int too large"), False),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed"), False),
    ],
    ids=repr,
)
def test_only_errors_of_the_medium_blame_the_medium(failure: Exception, medium: bool) -> None:
    assert is_of_medium(failure) is medium


@pytest.mark.parametrize("when", ["BEGIN", "INSERT INTO journal", "COMMIT", "SELECT 1"])
def test_where_every_commit_fails_no_change_is_blamed_and_none_is_lost(
    tmp_path: Path, when: str
) -> None:
    async def main() -> None:
        disk, maker = Disk(), Maker()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect)
        await store.open()
        info, number = written(maker, store, "s", b"1")
        await store.committed(number)
        disk.fault, disk.when = MemoryError(), when
        number = store.write(maker.append(info.generation, b"2"))
        if when == "SELECT 1":
            await store.committed(number)
        else:
            with pytest.raises(StoreUnavailable):
                await store.committed(number)
        disk.fault = None
        await until(lambda: not store.health().failure)
        number = store.write(maker.append(info.generation, b"3"))
        await store.committed(number)
        assert [e.data for e in await read_all(store, info.generation)] == [b"1", b"2", b"3"]
        await store.close()

    asyncio.run(main())


def test_the_forks_of_a_stream_that_could_not_be_made_are_not_there_either(tmp_path: Path) -> None:
    async def main() -> None:
        maker = Maker()
        store = SqliteStore(tmp_path / "a.db", commit_interval=0.001)
        told: list[str] = []
        store.on_refused(told.append)
        await store.open()
        text = Trap("größe", Fuse(ValueError, 1))
        create = maker.create("s")
        bad = replace(create, info=replace(create.info, content_type=text))
        source = maker.create("source")
        await settle(store, source)
        changes = [bad, maker.fork("fork", bad.info, 0), maker.fork("fine", source.info, 0)]
        numbers = [store.write(change) for change in changes]
        numbers.append(store.write(Delete(source.info.generation)))
        outcomes = await asyncio.gather(*map(store.committed, numbers), return_exceptions=True)
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [StoreRefused, StoreRefused, type(None), type(None)]
        assert told == [bad.info.generation, changes[1].info.generation]
        assert [info.name for info in (await store.list("")).streams] == ["fine"]
        for change in changes[:2]:
            assert await is_unknown(store, change.info.generation)
        assert store.health().failure == ""
        await store.close()

    asyncio.run(main())


def test_events_that_can_be_written_once_and_not_be_moved_stop_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        maker = Maker()
        store = SqliteStore(tmp_path / "a.db", commit_interval=0.001, journal_limit=1)
        await store.open()
        create = maker.create("s")
        # Checked, and written into the journal; then it is to be moved.
        kind = Trap("größe", Fuse(ValueError, 2))
        append = maker.append(create.info.generation, b"x")
        event = append.events[0]
        await settle(
            store, create, append._replace(events=[Event(event.seq, event.time, kind, event.data)])
        )
        for n in range(5):
            await settle(store, maker.create(f"other/{n}"))
        assert len(await read_all(store, create.info.generation)) == 1
        await store.close()
        store = SqliteStore(tmp_path / "a.db", journal_limit=1)
        await store.open()
        assert [e.type for e in await read_all(store, create.info.generation)] == ["größe"]
        await store.close()

    asyncio.run(main())
