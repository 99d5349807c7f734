"""Damage to the store's file that SQLite's quick check lets pass."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from tailrace.errors import StoreCorrupt, StoreUnavailable
from tailrace.model import EndingKind
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker
from tests.stores.sqlite.medium import filled, written


def files_of(path: Path) -> dict[str, bytes]:
    """The file and its log."""
    return {each.name: each.read_bytes() for each in (path, path.with_name("a.db-wal"))}


def refusal_of(path: Path) -> str:
    async def main() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.close()

    with pytest.raises(StoreCorrupt) as caught:
        asyncio.run(main())
    return str(caught.value)


def left_by_a_crash(directory: Path, statement: str) -> Path:
    """A store with a log, whose process changed something that it should not, and died."""
    path = directory / "a.db"
    asyncio.run(filled(path))
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    (directory / "copy").mkdir()
    for name in ("a.db", "a.db-wal"):
        shutil.copy(directory / name, directory / "copy" / name)
    connection.close()
    return directory / "copy" / "a.db"


def test_what_recovery_refuses_leaves_the_file_and_its_log_as_they_were(tmp_path: Path) -> None:
    path = left_by_a_crash(tmp_path, "UPDATE streams SET ancestry = 'nobody'")
    before = files_of(path)
    assert len(before["a.db-wal"]) > 0
    assert "an ancestor is no offset" in refusal_of(path)
    assert files_of(path) == before


def test_pages_that_have_changed_places_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    asyncio.run(filled(path))
    connection = sqlite3.connect(path)
    pages = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0"))
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    data = bytearray(path.read_bytes())
    first, second = ((pages[name] - 1) * size for name in ("streams", "segments"))
    data[first : first + size], data[second : second + size] = (
        data[second : second + size],
        data[first : first + size],
    )
    path.write_bytes(data)
    refusal_of(path)
    assert path.read_bytes() == data


def test_a_refusal_is_one_line_although_sqlite_says_many(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    asyncio.run(filled(path))
    data = path.read_bytes()
    assert b"closed INTEGER" in data
    path.write_bytes(data.replace(b"closed INTEGER", b'closed"INTEGER'))
    assert "\n" not in refusal_of(path)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(
    "lost", ["last_seq > 0", "last_seq < (SELECT max(last_seq) FROM segments)"]
)
def test_a_stream_that_has_lost_segments_cannot_be_read_and_does_not_look_shorter(
    tmp_path: Path, lost: str, closed: bool
) -> None:
    path = tmp_path / "a.db"

    async def main() -> None:
        store = SqliteStore(path, journal_limit=100_000)
        await store.open()
        maker = Maker()
        info, _ = written(maker, store, "long", b"")
        for number in range(40):
            change = maker.append(info.generation, bytes([number]) * 30_000)
            await store.committed(store.write(change))
        if closed:
            store.write(maker.append(info.generation, ending=EndingKind.COMPLETED))
        await store.committed(store.write(maker.create("last")))
        await store.close()
        connection = sqlite3.connect(path)
        assert connection.execute(f"DELETE FROM segments WHERE {lost}").rowcount > 0
        connection.commit()
        connection.close()
        await store.open()
        with pytest.raises(StoreUnavailable):
            await store.read(info.generation, 0, 1 << 30)
        await store.close()

    asyncio.run(main())
