"""Further names and notes in the SQLite store: failing disks, races, plans, erasure."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tailrace.contracts import Alias, Change, Create, Delete, Note
from tailrace.errors import StoreUnavailable
from tailrace.model import EndingKind, StreamInfo
from tailrace.stores import MemoryStore, SqliteStore
from tailrace.stores.memory import ALIAS_OVERHEAD
from tailrace.stores.sqlite.batch import Batch
from tailrace.testing.store_model import Maker, made, settle
from tests.stores.sqlite.medium import Disk, error, raw_bytes, until, written
from tests.stores.sqlite.test_clients import SlowReader, with_store

IOERR = error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
CANARY = b"canary-4f1c9b"


async def let_go(store: SqliteStore, maker: Maker, *creates: Create) -> None:
    """Make these streams, and have them leave memory."""
    await settle(store, *creates)
    for create in creates:
        await settle(store, maker.create(f"after {create.info.name}"))
    assert all(store._tails.get(create.info.generation) is None for create in creates)


def closed(maker: Maker, name: str) -> Create:
    return maker.born(maker.create(name), b"x", ending=EndingKind.COMPLETED)


@pytest.mark.parametrize("took_effect", [False, True])
def test_names_and_notes_of_a_failed_commit_are_joined_with_what_came_after_it(
    tmp_path: Path, took_effect: bool
) -> None:
    maker, disk = Maker(), Disk()
    old = closed(maker, "old")
    first, second, brief = (maker.create(name) for name in ("first", "second", "brief"))
    a, b, c = (create.info.generation for create in (first, second, brief))
    fork = maker.fork("fork", first.info, 0)

    async def check(store: SqliteStore) -> None:
        expected = {"x": replace(made(second), note=b"2"), "y": None, "z": None, "w": made(old)}
        assert {name: await store.find(name) for name in expected} == expected
        assert await store.find("first") == replace(first.info, deleted=True)

    async def main() -> None:
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, commit_interval=0.001)
        await store.open()
        await let_go(store, maker, old)
        oldest = old.info.generation
        await settle(store, *(Alias(oldest, name) for name in "xyzw"))
        disk.fault, disk.done_first = IOERR, took_effect
        disk.when = "COMMIT" if took_effect else "INSERT INTO journal"
        flying: list[Change] = [first, second, brief, fork, Alias(a, "x"), Alias(c, "y")]
        for change in (*flying, Alias(a, "z"), Note(a, b"1"), Note(b, b"1"), Note(c, b"1")):
            number = store.write(change)
        with pytest.raises(StoreUnavailable):
            await store.committed(number)
        for change in (Alias(b, "x"), Delete(c), Note(b, b"2"), Delete(a), Alias(a, "w")):
            number = store.write(change)
        assert store.health().uncommitted > 0
        if not took_effect:
            assert await store.find("x") == replace(made(second), note=b"2")
        disk.fault = None
        await until(lambda: not store.health().failure)
        await store.committed(number)
        await check(store)
        assert store.health().uncommitted == 0
        await store.close()

    asyncio.run(main())
    with_store(tmp_path / "a.db", check)


def test_a_name_that_a_stream_out_of_memory_took_waits_for_the_commit(tmp_path: Path) -> None:
    maker, disk = Maker(), Disk()

    async def main() -> None:
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, commit_interval=60)
        await store.open()
        old, other = closed(maker, "old"), closed(maker, "other")
        await let_go(store, maker, old, other)
        store.write(Alias(old.info.generation, "x"))
        assert await store.find("x") == made(old)
        assert store.health().uncommitted == 0
        disk.fault, disk.when = IOERR, "INSERT INTO journal"
        store.write(Alias(other.info.generation, "x"))
        with pytest.raises(StoreUnavailable):
            await store.find("x")
        assert await store.find("other") == made(other)
        disk.fault = None
        await until(lambda: not store.health().failure)
        assert await store.find("x") == made(other)
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("event", ["closed", "deleted", "taken"])
@pytest.mark.parametrize("committed", [False, True])
def test_the_answer_is_as_it_was_when_asked_or_later(
    tmp_path: Path, event: str, committed: bool
) -> None:
    """While the file is read: the stream closes and leaves memory, or goes, or loses the name."""

    async def main() -> None:
        maker, slow = Maker(), SlowReader("SELECT stream FROM aliases")
        store = SqliteStore(tmp_path / "a.db", connector=slow.connect, commit_interval=60)
        await store.open()
        create, other = maker.create("s"), maker.create("other")
        generation = create.info.generation
        await settle(store, other, create)
        number = store.write(Alias(generation, "x"))
        if committed:
            await store.committed(number)
        asking = asyncio.ensure_future(store.find("x"))
        await until(slow.asked.is_set)
        expected: list[StreamInfo | None] = [create.info]
        if event == "closed":
            append = maker.append(generation, b"abc", ending=EndingKind.CUT)
            expected = [replace(create.info.grown(1, 3), ending=append.ending)]
            await settle(store, append)
            await until(lambda: store._tails.get(generation) is None)
        elif event == "deleted":
            await settle(store, Delete(generation))
            expected = [None]
        else:
            await settle(store, Alias(other.info.generation, "x"))
            expected.append(other.info)
        slow.go.set()
        assert await asking in expected
        await store.close()

    asyncio.run(main())


def test_a_further_name_is_a_keyed_read(tmp_path: Path) -> None:
    disk = Disk()

    async def main() -> None:
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect)
        await store.open()
        disk.statements.clear()
        assert await store.find("x") is None
        await store.close()

    asyncio.run(main())
    questions = [sql for sql in disk.statements if "SELECT" in sql and "name = ?" in sql]
    assert len(questions) == 2
    connection = sqlite3.connect(tmp_path / "a.db")
    questions.append("DELETE FROM aliases WHERE stream = ?")
    for sql in questions:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", ("x",))]
        assert not [step for step in plan if "SCAN" in step], plan
    connection.close()


@pytest.mark.parametrize("state", ["open", "closed", "kept for a fork"])
def test_a_deleted_streams_further_names_and_notes_leave_no_byte(
    tmp_path: Path, state: str
) -> None:
    async def main() -> None:
        path, maker = tmp_path / "a.db", Maker()
        store = SqliteStore(path, commit_interval=0.001, erase_within=0.1)
        await store.open()
        others = [written(maker, store, f"other/{n}", b"x" * 50)[0] for n in range(200)]
        create = maker.create("s", "relay")
        generation = create.info.generation
        store.write(replace(create, info=replace(create.info, note=CANARY * 3)))
        if state == "kept for a fork":
            store.write(maker.fork("fork", create.info, 0))
        for n, other in enumerate(others):
            # Among the names of others, so that trees are balanced.
            store.write(Alias(other.generation, f"{n:03}-"))
            store.write(Alias(generation, f"{n:03}-{CANARY.decode()}"))
            store.write(Note(other.generation, b"%d" % n))
            # Short and long ones, which lie in pages of their own.
            number = store.write(Note(generation, CANARY * (n % 7 * 100)))
            if n % 20 == 0:
                await store.committed(number)
        if state == "closed":
            number = store.write(maker.append(generation, ending=EndingKind.COMPLETED))
        await store.committed(number)
        assert CANARY in raw_bytes(path)
        await store.committed(store.write(Delete(generation)))
        await until(lambda: CANARY not in raw_bytes(path))
        for n, other in enumerate(others):
            found = await store.find(f"{n:03}-")
            assert found is not None
            assert (found.name, found.note) == (other.name, b"%d" % n)
        await store.close()
        assert CANARY not in raw_bytes(path)

    asyncio.run(main())


def test_what_waits_for_a_commit_counts_further_names_and_notes() -> None:
    batch, later = Batch(), Batch()
    batch.note("g", b"x" * 1000)
    batch.alias("g", "a" * 1000)
    assert batch.beside > 2000
    for _ in range(10):
        later.note("g", b"y" * 500)
    batch.absorb(later)
    assert batch.notes == {"g": b"y" * 500}
    assert 1500 < batch.beside < 2500


def test_the_memory_store_counts_them_as_long_as_they_are_there() -> None:
    store, maker = MemoryStore(limit=1 << 30), Maker()
    first, second = maker.create("first"), maker.create("second")
    a, b = first.info.generation, second.info.generation

    def used_by(*changes: Change) -> int:
        before = store._used
        for change in changes:
            store.write(change)
        return store._used - before

    noted = replace(first, info=replace(first.info, note=b"x" * 1000))
    base = used_by(second)
    assert used_by(noted) == base + 1000
    assert used_by(Note(a, b"y" * 300)) == -700
    assert used_by(Alias(a, "x"), Alias(a, "x"), Alias(a, "y")) == 2 * ALIAS_OVERHEAD
    assert used_by(Alias(b, "x"), Note("nobody", b"x"), Alias("nobody", "x")) == 0
    fork = maker.fork("fork", first.info, 0)
    assert used_by(fork) == base
    assert used_by(Delete(a)) == -300 - ALIAS_OVERHEAD
    assert used_by(Delete(fork.info.generation)) == -2 * base
    assert used_by(Delete(b)) == -base - ALIAS_OVERHEAD
    assert store._used == 0
