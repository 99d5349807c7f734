"""What the SQLite store makes of a file that it is given."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tailrace.errors import ConfigError, StartupError, StoreCorrupt, StoreLocked, StoreTooNew
from tailrace.stores import SqliteStore
from tailrace.stores.sqlite.schema import MIGRATIONS
from tailrace.stores.sqlite.writer import Writer
from tailrace.testing.store_model import read_all
from tests.stores.sqlite.medium import filled


def open_and_close(path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.close()

    asyncio.run(main())


def refused(path: Path, kind: type[StartupError]) -> str:
    """Open; expect this error, the file unchanged, and nothing left running."""
    before = path.read_bytes()
    with pytest.raises(kind) as caught:
        open_and_close(path)
    assert path.read_bytes() == before
    assert not [thread for thread in threading.enumerate() if "tailrace" in thread.name]
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_store_in_use_is_locked_until_it_is_closed(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(tmp_path / "a.db")
        await store.open()
        other = SqliteStore(tmp_path / "a.db")
        with pytest.raises(StoreLocked, match="in use by another process") as caught:
            await other.open()
        assert str(tmp_path) in str(caught.value)
        await store.close()
        await other.open()
        await other.close()

    asyncio.run(main())


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    script = (
        "import asyncio, sys\n"
        "from tailrace.stores import SqliteStore\n"
        "async def main():\n"
        "    store = SqliteStore(sys.argv[1])\n"
        "    await store.open()\n"
        "    print('open', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"open"
        with pytest.raises(StoreLocked):
            open_and_close(path)
        process.kill()
        process.wait()
    open_and_close(path)


def test_nothing_is_left_but_the_file_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.db"
    asyncio.run(filled(path))
    assert not [thread for thread in threading.enumerate() if "tailrace" in thread.name]
    names = {entry.name for entry in path.parent.iterdir()}
    assert names <= {"a.db", "a.db.lock", "a.db.reserve"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_others_may_not_read_what_people_said(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.db"
    open_and_close(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_file_of_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    asyncio.run(filled(path))
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    assert "newer version" in refused(path, StoreTooNew)


@pytest.mark.parametrize("content", [b"\0" * 5000, b"hello", os.urandom(9000)])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    refused(path, StoreCorrupt)


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    assert "none of ours" in refused(path, StoreCorrupt)


def test_a_page_of_rubbish_is_noticed_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    asyncio.run(filled(path))
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\x5a" * 4096)
    refused(path, StoreCorrupt)


def test_a_truncated_file_is_noticed_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    asyncio.run(filled(path))
    path.write_bytes(path.read_bytes()[: -3 * 4096])
    refused(path, StoreCorrupt)


def test_a_journal_with_a_flipped_bit_is_noticed_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    asyncio.run(filled(path, closed=False))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE journal SET crc = crc + 1")
    connection.commit()
    connection.close()
    assert "checksum" in refused(path, StoreCorrupt)


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    open_and_close(path)
    open_and_close(path)


def test_a_start_that_was_killed_before_there_were_tables_is_a_new_store(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert path.stat().st_size > 0
    open_and_close(path)


def test_a_path_that_cannot_be_used_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    for path in (tmp_path / "file" / "a.db", tmp_path / "directory"):
        with pytest.raises(ConfigError):
            open_and_close(path)


def test_an_older_file_is_migrated_step_by_step_and_keeps_its_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    generations = asyncio.run(filled(path, closed=False))
    steps = (
        ("ALTER TABLE segments ADD COLUMN note TEXT",),
        ("CREATE TABLE extra (x)", "INSERT INTO extra VALUES (1)"),
    )
    writer = Writer(path, migrations=(*MIGRATIONS, *steps))
    found = writer.open()
    writer.close()
    assert {tail.generation for tail in found.tails} >= set(generations)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 2,)
    assert connection.execute("SELECT x, note FROM extra, (SELECT max(note) note FROM segments)")
    connection.close()
    refused(path, StoreTooNew)


def test_a_migration_that_fails_leaves_the_step_before(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    generations = asyncio.run(filled(path))
    steps = (("CREATE TABLE extra (x)", "INSERT INTO nowhere VALUES (1)"),)
    with pytest.raises(sqlite3.OperationalError):
        Writer(path, migrations=(*MIGRATIONS, *steps)).open()

    async def main() -> None:
        store = SqliteStore(path)
        await store.open()
        assert len(await read_all(store, generations[0])) == 20
        await store.close()

    asyncio.run(main())
