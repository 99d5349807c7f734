"""The lock is on a store, whatever it is called and wherever else there are stores."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tailrace.errors import StoreLocked
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker, read_all
from tests.stores.sqlite.medium import written

OPEN = """
import asyncio, sys
from tailrace.errors import StoreLocked
from tailrace.stores import SqliteStore
async def main():
    store = SqliteStore(sys.argv[1])
    try:
        await store.open()
    except StoreLocked as error:
        print("locked:", error)
    else:
        print("open")
        await store.close()
asyncio.run(main())
"""


def open_elsewhere(path: Path) -> str:
    """What another process is told that opens the store."""
    command = [sys.executable, "-c", OPEN, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


async def refuse_here(path: Path) -> None:
    with pytest.raises(StoreLocked, match="in use by another"):
        await SqliteStore(path).open()


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
@pytest.mark.parametrize("first", ["file", "link"])
def test_a_linked_file_is_the_same_store_in_this_process_and_in_another(
    tmp_path: Path, link: Callable[[Path, Path], None], first: str
) -> None:
    file, other = tmp_path / "a" / "a.db", tmp_path / "b" / "other.db"

    async def main() -> None:
        store = SqliteStore(file)
        await store.open()
        await store.close()
        other.parent.mkdir()
        link(file, other)
        names = [file, other] if first == "file" else [other, file]
        store, maker = SqliteStore(names[0]), Maker()
        await store.open()
        info, number = written(maker, store, "kept", b"1")
        await store.committed(number)
        await refuse_here(names[1])
        assert (await asyncio.to_thread(open_elsewhere, names[1])).startswith("locked:")
        # Nothing that was refused gave up the locks of the one that has it.
        await store.committed(store.write(maker.append(info.generation, b"2")))
        assert (await asyncio.to_thread(open_elsewhere, names[0])).startswith("locked:")
        await store.close()
        store = SqliteStore(names[1])
        await store.open()
        assert [e.data for e in await read_all(store, info.generation)] == [b"1", b"2"]
        await store.close()

    asyncio.run(main())


def test_stores_in_one_directory_are_several(tmp_path: Path) -> None:
    async def main() -> None:
        stores = [SqliteStore(tmp_path / f"{n}.db") for n in range(2)]
        for store in stores:
            await store.open()
        for store in stores:
            await store.committed(store.write(Maker().create("s")))
        for store in stores:
            await store.close()

    asyncio.run(main())
    names = {f"{n}.db{rest}" for n in range(2) for rest in ("", ".lock", ".reserve")}
    assert {p.name for p in tmp_path.iterdir()} <= names


def test_what_is_refused_gives_up_no_lock_of_sqlite(tmp_path: Path) -> None:
    """Closing a descriptor of a file would: another program could then change the file's mode."""
    file, linked = tmp_path / "a.db", tmp_path / "b.db"
    change = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0)\n"
    change += "print(c.execute('PRAGMA journal_mode = DELETE').fetchone())"

    async def main() -> None:
        store = SqliteStore(file)
        await store.open()
        await store.committed(store.write(Maker().create("s")))
        os.link(file, linked)
        await refuse_here(linked)
        command = [sys.executable, "-c", change, str(file)]
        tried = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
        assert "locked" in tried.stderr
        await store.close()

    asyncio.run(main())
