"""The scrubbing of pages, on files that SQLite made, and on bytes that it never would."""

from __future__ import annotations

import io
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.stores.sqlite.scrub import pages_in_log, scrub, scrub_free, unallocated


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
def test_a_scrubbed_file_is_sound_and_holds_the_same_rows(tmp_path: Path, page_size: int) -> None:
    dice = random.Random(page_size)
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB)")
    connection.execute("CREATE INDEX i ON t (name)")
    connection.execute("BEGIN")
    for n in range(2000):
        name = f"name-{dice.randbytes(12).hex()}"
        data = dice.randbytes(dice.choice([0, 10, 100, 3000]))
        connection.execute("INSERT INTO t VALUES (?, ?, ?)", (n, name, data))
    for n in dice.sample(range(2000), 1200):
        connection.execute("DELETE FROM t WHERE id = ?", (n,))
    connection.execute("COMMIT")
    rows = connection.execute("SELECT * FROM t").fetchall()
    connection.close()

    with path.open("r+b", buffering=0) as file:
        scrub(file, None)
    raw = path.read_bytes()
    assert raw.count(b"name-") <= 2 * len(rows) + page_size // 10  # the trees' inner pages too
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT * FROM t").fetchall() == rows
    alive = {name.encode() for _, name, _ in rows}
    found = {raw[at : at + 29] for at in range(len(raw)) if raw.startswith(b"name-", at)}
    assert found == alive
    connection.close()


def test_the_log_names_the_pages_that_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert pages_in_log(io.BytesIO(), 4096) == set()
    connection.execute("INSERT INTO t VALUES (1)")
    (root,) = connection.execute("SELECT rootpage FROM sqlite_schema").fetchone()
    assert pages_in_log(io.BytesIO((tmp_path / "a.db-wal").read_bytes()), 4096) == {root}
    connection.close()


@given(st.binary(min_size=128, max_size=1024))
def test_any_page_is_left_alone_or_scrubbed_within_itself(page: bytes) -> None:
    gap = unallocated(page)
    if gap is not None:
        assert 8 <= gap[0] <= gap[1] <= len(page)


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_free_pages_keep_nothing_and_the_file_stays_sound(tmp_path: Path, page_size: int) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
    canary, kept = b"canary" * 40_000, b"kept" * 1000
    for n in range(6):
        connection.execute("INSERT INTO t VALUES (?, ?)", (n, canary if n % 2 else kept))
    connection.execute("PRAGMA secure_delete = FAST")
    connection.execute("DELETE FROM t WHERE id % 2")
    connection.close()
    assert b"canary" in path.read_bytes()

    with path.open("r+b", buffering=0) as file:
        scrub_free(file)
    assert b"canary" not in path.read_bytes()
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [data for (data,) in connection.execute("SELECT data FROM t")] == [kept] * 3
    connection.execute("INSERT INTO t VALUES (1, ?)", (kept * 100,))
    connection.executescript("PRAGMA incremental_vacuum")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
