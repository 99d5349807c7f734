"""Deleted means gone from the files, and the journal and memory stay small."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
import sqlite3
from pathlib import Path

import pytest

from tailrace.contracts import Delete
from tailrace.model import EndingKind
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker, read_all
from tests.stores.sqlite.medium import raw_bytes, until, written

CANARY = b"canary-4f1c9b"
NAME = "chat/very-private-name-77aa"


def chat_names(raw: bytes) -> set[str]:
    """What stands after each ``chat/``, as long as the names that the test makes up."""
    return {raw[m.start() : m.start() + 29].decode("latin-1") for m in re.finditer(b"chat/", raw)}


def journal_rows(path: Path) -> list[tuple[int, int]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT id, length(data) FROM journal").fetchall()
    connection.close()
    return rows


@pytest.mark.parametrize("state", ["open", "closed", "large", "in segments"])
@pytest.mark.parametrize("busy", [False, True])
def test_a_deleted_stream_leaves_no_byte_in_the_files(
    tmp_path: Path, state: str, busy: bool
) -> None:
    async def main() -> None:
        path, maker = tmp_path / "a.db", Maker()
        store = SqliteStore(path, commit_interval=0.001, erase_within=0.3)
        await store.open()
        others = [written(maker, store, f"other/{n}", b"x" * 500)[0] for n in range(20)]
        size = 400_000 if state == "large" else 40
        info, number = written(maker, store, NAME, *[CANARY * (size // 13)] * 5)
        if state in {"closed", "in segments"}:
            number = store.write(maker.append(info.generation, ending=EndingKind.COMPLETED))
        await store.committed(number)
        for other in others:
            await store.committed(store.write(maker.append(other.generation, b"y" * 500)))
        if state == "in segments":
            await until(lambda: len(journal_rows(path)) > 1)
        assert CANARY in raw_bytes(path)
        assert NAME.encode() in raw_bytes(path)

        number = store.write(Delete(info.generation))
        await store.committed(number)
        for n in itertools.count():
            if busy and n < 50:
                store.write(maker.append(others[n % 20].generation, b"z" * 500))
            raw = raw_bytes(path)
            if CANARY not in raw and NAME.encode() not in raw:
                break
            assert n < 2000, "the bytes are still there"
            await asyncio.sleep(0.005)
        assert len(await read_all(store, others[0].generation)) >= 2
        await store.close()
        assert CANARY not in raw_bytes(path)

    asyncio.run(main())


def test_closing_erases_what_was_deleted_just_before(tmp_path: Path) -> None:
    async def main() -> None:
        path, maker = tmp_path / "a.db", Maker()
        store = SqliteStore(path)
        await store.open()
        kept, _ = written(maker, store, "kept", b"x")
        info, number = written(maker, store, NAME, CANARY)
        await store.committed(number)
        store.write(Delete(info.generation))
        await store.close()
        assert CANARY not in raw_bytes(path)
        assert NAME.encode() not in raw_bytes(path)
        store = SqliteStore(path)
        await store.open()
        assert len(await read_all(store, kept.generation)) == 1
        await store.close()

    asyncio.run(main())


def test_what_sqlite_copied_inside_its_pages_is_erased_too(tmp_path: Path) -> None:
    """Many small streams, so that trees are balanced; three times, so that only what changed
    since the last erasure is looked at; enough bytes for checkpoints between erasures."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    path, maker = tmp_path / "a.db", Maker()
    alive: dict[str, str] = {}
    gone: set[str] = set()

    async def live(store: SqliteStore) -> None:
        for n in range(700):
            name = f"chat/{dice.randbytes(12).hex()}"
            # Bytes that do not get smaller: the log has to fill between erasures.
            info, number = written(maker, store, name, name.encode(), dice.randbytes(n % 50 * 400))
            alive[name] = info.generation
            if n % 3:
                number = store.write(maker.append(info.generation, ending=EndingKind.CUT))
            if n % 50 == 0:
                await store.committed(number)
        for name in dice.sample(sorted(alive), 450):
            gone.add(name)
            store.write(Delete(alive.pop(name)))

    async def main() -> None:
        store = SqliteStore(path, durability="process", commit_interval=0.001, erase_within=0.2)
        await store.open()
        for _ in range(3):
            await live(store)
            await until(lambda: not gone & chat_names(raw_bytes(path)))
        for name, generation in alive.items():
            (event, *_) = await read_all(store, generation)
            assert event.data == name.encode()
        await store.close()

    asyncio.run(main())
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_an_erasure_that_a_crash_cut_short_is_finished_by_the_next_start(tmp_path: Path) -> None:
    async def main() -> None:
        path, maker = tmp_path / "a.db", Maker()
        store = SqliteStore(path, erase_within=60)
        await store.open()
        info, number = written(maker, store, NAME, CANARY)
        await store.committed(number)
        await store.committed(store.write(Delete(info.generation)))
        # What a killed process leaves behind is what is on disk at this moment.
        copy = tmp_path / "copy" / "a.db"
        copy.parent.mkdir()
        for file in tmp_path.glob("a.db*"):
            (copy.parent / file.name).write_bytes(file.read_bytes())
        await store.close()
        assert CANARY in raw_bytes(copy)
        store = SqliteStore(copy, erase_within=0.1)
        await store.open()
        await until(lambda: CANARY not in raw_bytes(copy))
        await store.close()

    asyncio.run(main())


def test_an_idle_open_stream_pins_nothing_and_the_journal_stays_within_its_limit(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        path, maker = tmp_path / "a.db", Maker()
        limit = 200_000
        store = SqliteStore(path, commit_interval=0.001, journal_limit=limit)
        await store.open()
        idle, number = written(maker, store, "idle", b"first and only")
        await store.committed(number)
        busy = [written(maker, store, f"busy/{n}", b"x")[0] for n in range(5)]
        for n in range(400):
            number = store.write(maker.append(busy[n % 5].generation, os.urandom(2000)))
            if n % 4 == 0:
                await store.committed(number)
        await until(lambda: sum(size for _, size in journal_rows(path)) <= limit)
        assert min(row for row, _ in journal_rows(path)) > 1
        assert [event.data for event in await read_all(store, idle.generation)] == [
            b"first and only"
        ]
        for info in busy:
            assert len(await read_all(store, info.generation)) == 81
        await store.close()

    asyncio.run(main())


def test_space_is_given_back_after_much_was_deleted(tmp_path: Path) -> None:
    async def main() -> None:
        path, maker = tmp_path / "a.db", Maker()
        store = SqliteStore(path, durability="process", erase_within=0.1)
        await store.open()
        info, number = written(maker, store, "large", *[b"x" * 1_000_000] * 30)
        number = store.write(maker.append(info.generation, ending=EndingKind.COMPLETED))
        await store.committed(number)
        store.write(Delete(info.generation))
        # The rest, a few MiB, is kept for what comes next.
        await until(lambda: path.stat().st_size < 20_000_000)
        await store.close()

    asyncio.run(main())
