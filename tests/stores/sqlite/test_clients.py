"""Forks, writers and deadlines in the SQLite store: failing disks, old files, plans, erasure."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tailrace.contracts import Alias, Append, Delete, Note, Renew, Trim, Writers
from tailrace.errors import NotFound, StoreUnavailable
from tailrace.model import EndingCode, EndingKind, Event, Producer
from tailrace.stores import SqliteStore
from tailrace.stores.sqlite.batch import Batch
from tailrace.stores.sqlite.journal import encode
from tailrace.stores.sqlite.schema import MIGRATIONS, migrate
from tailrace.stores.sqlite.writer import connect
from tailrace.testing.store_model import Maker, is_unknown, made, read_all, settle
from tests.stores.sqlite.medium import DEADLINE_SECONDS, Disk, error, raw_bytes, until

IOERR = error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
CANARY = "canary-4f1c9b"


def with_store(path: Path, check: Callable[[SqliteStore], Awaitable[None]]) -> None:
    """Open, check, close."""

    async def main() -> None:
        store = SqliteStore(path, durability="process", commit_interval=0.001)
        await store.open()
        await check(store)
        await store.close()

    asyncio.run(main())


# --- a commit that fails ------------------------------------------------------------------------


@pytest.mark.parametrize("took_effect", [False, True])
def test_what_a_failed_commit_held_is_joined_with_what_came_after_it(
    tmp_path: Path, took_effect: bool
) -> None:
    """In flight: a source, its fork, writers, a trim. Meanwhile: each of them changed again."""
    maker, disk = Maker(), Disk()
    source = maker.born(maker.create("source"), b"1", b"2", b"3")
    generation = source.info.generation
    fork = maker.born(maker.fork("fork", made(source), 3), b"4")
    brief = maker.fork("brief", made(source), 3)
    signed = maker.append(generation, b"5")._replace(producer=Producer("p", 0, 9), writer_seq="1")
    again = maker.append(generation)._replace(producer=Producer("p", 1, 0), writer_seq="2")

    async def check(store: SqliteStore) -> None:
        expected = replace(made(source).grown(1, 1), trimmed=2, deadline=30, deleted=True)
        assert await store.find("source") == expected
        assert await read_all(store, generation) == [source.events[2], *signed.events]
        assert await store.writers(generation) == Writers("2", (Producer("p", 1, 0),))
        assert await is_unknown(store, brief.info.generation)
        assert [info.name for info in (await store.list("")).streams] == ["fork", "last"]

    async def main() -> None:
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, commit_interval=0.001)
        await store.open()
        last = maker.create("last")
        await store.committed(store.write(replace(last, info=replace(last.info, generation="0"))))
        disk.fault, disk.done_first = IOERR, took_effect
        # Readers commit, too, and are not to fail where they are asked.
        disk.when = "COMMIT" if took_effect else "INSERT INTO journal"
        for change in (source, fork, brief, signed, Trim(generation, 2), Renew(generation, 40)):
            number = store.write(change)
        with pytest.raises(StoreUnavailable):
            await store.committed(number)
        for change in (again, Trim(generation, 1), Renew(generation, 30)):
            store.write(change)
        store.write(Delete(generation))
        number = store.write(Delete(brief.info.generation))
        if not took_effect:
            await check(store)
        disk.fault = None
        await until(lambda: not store.health().failure)
        await store.committed(number)
        await check(store)
        await store.close()

    asyncio.run(main())
    with_store(tmp_path / "a.db", check)


def test_a_source_kept_in_one_batch_and_let_go_in_the_next_is_gone_from_both(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        maker, disk = Maker(), Disk()
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect, commit_interval=0.001)
        await store.open()
        disk.fault = IOERR
        source = maker.born(maker.create("source"), b"1", ending=EndingKind.COMPLETED)
        fork = maker.fork("fork", made(source), 1)
        generations = [source.info.generation, fork.info.generation]
        for change in (source, fork, Delete(generations[0])):
            number = store.write(change)
        with pytest.raises(StoreUnavailable):
            await store.committed(number)
        number = store.write(Delete(generations[1]))
        disk.fault = None
        await until(lambda: not store.health().failure)
        await store.committed(number)
        for generation in generations:
            assert await is_unknown(store, generation)
        await store.close()

    asyncio.run(main())
    connection = sqlite3.connect(tmp_path / "a.db")
    for table in ("streams", "segments", "producers"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.close()


def test_writers_of_a_stream_that_is_gone_before_its_commit_leave_no_row(tmp_path: Path) -> None:
    async def main() -> None:
        store, maker = SqliteStore(tmp_path / "a.db", commit_interval=60), Maker()
        await store.open()
        create = maker.create("s")
        generation = create.info.generation
        store.write(create)
        store.write(maker.append(generation, b"x")._replace(producer=Producer("p", 0, 0)))
        await store.committed(store.write(Delete(generation)))
        await store.close()

    asyncio.run(main())
    connection = sqlite3.connect(tmp_path / "a.db")
    assert connection.execute("SELECT count(*) FROM producers").fetchone() == (0,)
    connection.close()


def test_an_earlier_place_never_undoes_a_trim_when_batches_are_joined() -> None:
    batch, later = Batch(), Batch()
    batch.trim_stream("g", 10)
    later.trim_stream("g", 5)
    batch.absorb(later)
    assert batch.trims == {"g": 10}


def test_an_unacknowledged_producer_leaves_with_its_events(tmp_path: Path) -> None:
    """They are in one transaction: a process that dies before the commit left neither."""
    maker, disk = Maker(), Disk()
    create = maker.create("s")
    generation = create.info.generation
    kept = maker.append(generation, b"1")._replace(producer=Producer("p", 0, 0), writer_seq="a")
    lost = maker.append(generation, b"2")._replace(producer=Producer("p", 0, 1), writer_seq="b")

    async def main() -> None:
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect)
        await store.open()
        store.write(create)
        await store.committed(store.write(kept))
        disk.fault, disk.when = IOERR, "INSERT INTO journal"
        with pytest.raises(StoreUnavailable):
            await store.committed(store.write(lost))
        await store.close()

    async def check(store: SqliteStore) -> None:
        assert await read_all(store, generation) == kept.events
        assert await store.writers(generation) == Writers("a", (Producer("p", 0, 0),))

    asyncio.run(main())
    with_store(tmp_path / "a.db", check)


# --- a commit beside a question -----------------------------------------------------------------


class SlowReader:
    """Connects like SQLite; a statement that holds ``text`` is answered when it may be."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.asked = threading.Event()
        self.go = threading.Event()

    def connect(self, uri: str) -> sqlite3.Connection:
        reader = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                cursor = super().execute(sql, *arguments)
                if reader._text in sql:
                    reader.asked.set()
                    assert reader.go.wait(DEADLINE_SECONDS)
                return cursor

        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection
        )


@pytest.mark.parametrize(
    ("question", "text"), [("writers", "SELECT id, writer_seq"), ("find", "WHERE name = ?")]
)
@pytest.mark.parametrize("kept", [False, True])
def test_a_delete_that_is_committed_during_the_question_was_made_before_it(
    tmp_path: Path, question: str, text: str, kept: bool
) -> None:
    """The file is read as it was before the commit; the answer must know better."""

    async def main() -> None:
        maker, slow = Maker(), SlowReader(text)
        store = SqliteStore(tmp_path / "a.db", connector=slow.connect, commit_interval=60)
        await store.open()
        source = maker.born(maker.create("source"), b"1", ending=EndingKind.COMPLETED)
        fork = maker.fork("fork", made(source), 1)
        generation = source.info.generation
        store.write(source)
        if kept:
            store.write(fork)
        for name in ("two commits", "move it out of memory"):
            await store.committed(store.write(maker.create(name)))
        number = store.write(Delete(generation))
        asking = asyncio.ensure_future(
            store.writers(generation) if question == "writers" else store.find("source")
        )
        await until(lambda: slow.asked.is_set() or asking.done())
        await store.committed(number)
        if kept:  # and erased by the time of the answer
            await store.committed(store.write(Delete(fork.info.generation)))
        slow.go.set()
        (answer,) = await asyncio.gather(asking, return_exceptions=True)
        if question == "writers":
            assert isinstance(answer, NotFound) or (kept and answer == Writers())
        else:
            assert answer is None or (kept and answer == replace(made(source), deleted=True))
        await store.close()

    asyncio.run(main())


# --- old files --------------------------------------------------------------------------------


def test_a_file_of_the_first_schema_opens_with_all_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    maker = Maker()
    names = ["open", "closed"]
    generations = [maker.create(name).info.generation for name in names]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    migrate(connection, MIGRATIONS[:1])
    columns = "id, generation, name, content_type, source, created, last_seq, size"
    connection.execute(
        f"INSERT INTO streams ({columns}) VALUES (1, ?, 'open', 't/p', 'relay', 5, 0, 0)",
        generations[:1],
    )
    connection.execute(
        f"INSERT INTO streams ({columns}, ending, reason, ending_seq, ending_time, closed_in)"
        " VALUES (2, ?, 'closed', 't/p', '', 6, 1, 3, 'failed',"
        " 'The upstream reported: no', 2, 8, 1)",
        generations[1:],
    )
    event = Event(1, 7, "data", b"abc")
    blobs = encode([(1, [event])]), encode([(2, [event])])
    connection.execute("INSERT INTO journal VALUES (1, ?, ?)", (crc32(blobs[0]), blobs[0]))
    connection.execute("INSERT INTO segments VALUES (1, 2, 1, ?, ?)", (crc32(blobs[1]), blobs[1]))
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()
    events = [Event(2, 8, "data", b"d")]
    more = Append(generations[0], events, producer=Producer("p", 0, 0), writer_seq="a")

    async def first(store: SqliteStore) -> None:
        for generation in generations:
            assert await read_all(store, generation) == [event]
            assert await store.writers(generation) == Writers()
        found = [await store.find(name) for name in names]
        assert [info and (info.size, info.ttl, info.ancestry) for info in found] == [
            (3, None, ())
        ] * 2
        closed = found[1]
        assert closed is not None
        assert closed.ending is not None
        assert closed.ending.code is EndingCode.REPORTED
        fork = maker.fork("fork", closed, 1)
        for change in (more, fork, Delete(generations[1])):
            number = store.write(change)
        await store.committed(number)

        assert closed.note == b""
        await settle(store, Note(generations[0], b"{}"), Alias(generations[0], "also"))

    async def second(store: SqliteStore) -> None:
        assert await read_all(store, generations[0]) == [event, *more.events]
        also = await store.find("also")
        assert also is not None
        assert (also.name, also.note) == ("open", b"{}")
        assert await store.writers(generations[0]) == Writers("a", (Producer("p", 0, 0),))
        assert await read_all(store, generations[1]) == [event]
        assert {info.name for info in (await store.list("")).streams} == {"open", "fork"}

    with_store(path, first)
    with_store(path, second)


# --- what it costs ----------------------------------------------------------------------------


def test_opening_and_deadlines_are_read_from_indexes_of_their_own(tmp_path: Path) -> None:
    disk = Disk()
    questions: list[tuple[str, str]] = []

    async def main() -> None:
        store = SqliteStore(tmp_path / "a.db", connector=disk.connect)
        await store.open()
        disk.statements.clear()
        await store.list("", due=5)
        questions.extend(("due", sql) for sql in disk.statements if "deadline <=" in sql)
        await store.close()
        disk.statements.clear()
        again = SqliteStore(tmp_path / "a.db", connector=disk.connect)
        await again.open()
        forks = [sql for sql in disk.statements if "ancestry <> ''" in sql and "CREATE" not in sql]
        questions.extend(("forked", sql) for sql in forks)
        tails = [sql for sql in disk.statements if sql.endswith("closed_in IS NULL")]
        questions.extend(("open", sql) for sql in tails)
        await again.close()

    asyncio.run(main())
    assert [index for index, _ in questions] == ["due", "forked", "open"]
    connection = sqlite3.connect(tmp_path / "a.db")
    for index, sql in questions:
        values = [0] * sql.count("?")
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        assert len(plan) == 1, "nothing is sorted"
        assert f"streams_{index}" in plan[0]
    connection.close()


def test_a_producer_is_written_once_for_each_commit(tmp_path: Path) -> None:
    statements: list[str] = []

    def traced(uri: str) -> sqlite3.Connection:
        connection = connect(uri)
        connection.set_trace_callback(statements.append)
        return connection

    async def main() -> None:
        store, maker = SqliteStore(tmp_path / "a.db", connector=traced), Maker()
        await store.open()
        create = maker.create("s")
        store.write(create)
        for seq in range(100):
            append = maker.append(create.info.generation, b"x")
            number = store.write(append._replace(producer=Producer("p", 0, seq)))
        await store.committed(number)
        await store.committed(store.write(maker.append(create.info.generation, b"x")))
        await store.close()

    asyncio.run(main())
    assert sum("INTO producers" in sql for sql in statements) == 1


def test_trimming_gives_segments_back_and_nothing_trimmed_returns(tmp_path: Path) -> None:
    path, maker = tmp_path / "a.db", Maker()
    create = maker.create("s")
    generation = create.info.generation

    def rows() -> list[int]:
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT last_seq FROM segments ORDER BY last_seq").fetchall()
        connection.close()
        return [seq for (seq,) in found]

    async def main() -> None:
        store = SqliteStore(path, durability="process", commit_interval=0.001, journal_limit=1)
        await store.open()
        store.write(create)
        for _ in range(20):
            append = maker.append(generation, b"x" * 100_000)
            await store.committed(store.write(append))
        store.write(maker.append(generation, b"last", ending=EndingKind.COMPLETED))
        await until(lambda: rows()[-1:] == [21])
        await store.committed(store.write(Trim(generation, 10)))
        assert rows()[0] > 10
        assert [event.seq for event in await read_all(store, generation)] == list(range(11, 22))
        await store.committed(store.write(Trim(generation, 21)))
        assert rows() == []
        await store.close()

    async def check(store: SqliteStore) -> None:
        assert await read_all(store, generation) == []
        await store.committed(store.write(maker.create("t")))
        assert rows() == []
        found = await store.find("s")
        assert found is not None
        assert (found.last_seq, found.trimmed, found.size) == (21, 21, 2_000_004)

    asyncio.run(main())
    with_store(path, check)


def test_trimmed_events_do_not_come_back_from_the_journals_newest_row(tmp_path: Path) -> None:
    maker = Maker()
    create = maker.born(maker.create("s"), b"x", ending=EndingKind.CUT)

    async def trim(store: SqliteStore) -> None:
        store.write(create)
        await store.committed(store.write(Trim(create.info.generation, 1)))

    async def go_on(store: SqliteStore) -> None:
        await store.committed(store.write(maker.create("t")))

    with_store(tmp_path / "a.db", trim)
    with_store(tmp_path / "a.db", go_on)
    connection = sqlite3.connect(tmp_path / "a.db")
    assert connection.execute("SELECT count(*) FROM segments").fetchone() == (0,)
    connection.close()


# --- erasure ----------------------------------------------------------------------------------


def test_of_a_deleted_stream_its_producers_and_its_forks_names_are_erased(tmp_path: Path) -> None:
    async def main() -> None:
        path, maker = tmp_path / "a.db", Maker()
        store = SqliteStore(path, commit_interval=0.001, erase_within=0.1)
        await store.open()
        source = maker.born(maker.create(f"{CANARY}-source"), CANARY.encode())
        fork = maker.born(maker.fork("fork", made(source), 1), b"x")
        generation = source.info.generation
        for change in (source, fork):
            store.write(change)
        for n in range(500):
            signed = maker.append(generation)._replace(producer=Producer(f"{CANARY}-{n}", 0, 0))
            number = store.write(signed._replace(writer_seq=f"{CANARY}-{n}"))
        await store.committed(number)
        await store.committed(store.write(Delete(generation)))
        assert len((await store.writers(generation)).producers) == 500
        assert CANARY.encode() in raw_bytes(path)
        store.write(Delete(fork.info.generation))
        await until(lambda: CANARY.encode() not in raw_bytes(path))
        await store.close()

    asyncio.run(main())
