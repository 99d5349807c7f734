"""A store whose log was damaged is left alone, and says what can be done."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from tailrace.errors import StoreCorrupt
from tailrace.stores import SqliteStore
from tailrace.stores.sqlite.writer import Durability
from tailrace.testing.store_model import Maker, read_all
from tests.stores.sqlite.medium import written

COMMITS = 8


async def crashed(directory: Path) -> tuple[Path, list[int]]:
    """The files of a store as a killed process leaves them, and where commits end in its log."""
    path, copy = directory / "live" / "a.db", directory / "a.db"
    store, maker = SqliteStore(path), Maker()
    await store.open()
    ends = []
    for n in range(COMMITS):
        _, number = written(maker, store, f"s/{n}", os.urandom(3000))
        await store.committed(number)
        ends.append(path.with_name("a.db-wal").stat().st_size)
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    await store.close()
    return copy, ends


def refused(path: Path, durability: Durability = "full") -> str:
    """The store is not opened; no file changes, goes or comes."""

    def files() -> dict[str, bytes]:
        found = path.parent.glob("a.db*")
        return {file.name: file.read_bytes() for file in found if file.suffix != ".lock"}

    before = files()
    with pytest.raises(StoreCorrupt) as caught:
        asyncio.run(names(path, durability))
    assert files() == before
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


async def names(path: Path, durability: Durability = "full") -> list[str]:
    store = SqliteStore(path, durability=durability)
    await store.open()
    infos = (await store.list("")).streams
    for info in infos:
        assert len(await read_all(store, info.generation)) == 1
    await store.close()
    return sorted(info.name for info in infos)


def change(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 0x40]))


def test_a_flipped_byte_before_later_commits_is_refused_and_the_way_out_works(
    tmp_path: Path,
) -> None:
    path, ends = asyncio.run(crashed(tmp_path))
    log = path.with_name("a.db-wal")
    change(log, ends[2] + 500)
    message = refused(path)
    cut = re.search(r"cut the log to (\d+) bytes", message)
    assert cut is not None
    os.truncate(log, int(cut[1]))
    assert asyncio.run(names(path)) == ["s/0", "s/1", "s/2"]


def test_a_commit_that_a_crash_cut_short_is_forgotten_and_no_other(tmp_path: Path) -> None:
    path, ends = asyncio.run(crashed(tmp_path))
    os.truncate(path.with_name("a.db-wal"), ends[-1] - 100)
    assert asyncio.run(names(path)) == [f"s/{n}" for n in range(COMMITS - 1)]


@pytest.mark.parametrize("missing", [True, False])
def test_an_empty_store_beside_a_full_log_is_refused_and_nothing_is_deleted(
    tmp_path: Path, missing: bool
) -> None:
    path, _ = asyncio.run(crashed(tmp_path))
    kept = tmp_path / "kept"
    shutil.copy(path, kept)
    if missing:
        path.unlink()
    else:
        os.truncate(path, 0)
    assert "empty" in refused(path)
    shutil.copy(kept, path)
    assert len(asyncio.run(names(path))) == COMMITS


def test_without_a_sync_for_each_commit_a_hole_in_the_log_is_what_a_power_cut_leaves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, ends = asyncio.run(crashed(tmp_path))
    change(path.with_name("a.db-wal"), ends[2] + 500)
    assert asyncio.run(names(path, "process")) == ["s/0", "s/1", "s/2"]
    assert "cannot be read beyond" in caplog.text
