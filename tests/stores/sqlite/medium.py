"""Media for the SQLite store's tests: a directory to look into, and a disk that fails on demand."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailrace.model import EndingKind, StreamInfo
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker

DEADLINE_SECONDS = 20.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must become true; fail where it does not in time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.005)


def raw_bytes(path: Path) -> bytes:
    """The store's file and its log, as they are on disk."""
    file, log = path.read_bytes(), path.with_name(path.name + "-wal")
    try:
        return file + log.read_bytes()
    except FileNotFoundError:  # SQLite removes it with the last connection, at any moment
        return file


def error(code: int, text: str) -> sqlite3.OperationalError:
    """What SQLite raises for a result code."""
    failure = sqlite3.OperationalError(text)
    failure.sqlite_errorcode = code
    return failure


def _blobs(arguments: tuple[Any, ...]) -> list[bytes]:
    return [value for given in arguments for value in given if isinstance(value, bytes)]


class Disk:
    """Connects like SQLite, and fails as it is told."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.when = "COMMIT"
        """Statements that begin so fail while there is a fault."""
        self.done_first = False
        """Whether the statement takes effect before it reports the failure."""
        self.poison = b""
        """No statement that is given these bytes is executed."""
        self.opened = 0
        self.statements: list[str] = []

    def connect(self, uri: str) -> sqlite3.Connection:
        disk = self
        disk.opened += 1

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                disk.statements.append(sql)
                if disk.poison and any(disk.poison in value for value in _blobs(arguments)):
                    raise MemoryError
                if disk.fault is None or not sql.startswith(disk.when):
                    return super().execute(sql, *arguments)
                if disk.done_first:
                    super().execute(sql, *arguments)
                raise disk.fault

        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection
        )


def written(maker: Maker, store: SqliteStore, name: str, *data: bytes) -> tuple[StreamInfo, int]:
    """Make a stream with these events; its info, and the number to wait for."""
    create = maker.create(name, "relay")
    store.write(create)
    return create.info, store.write(maker.append(create.info.generation, *data))


async def filled(path: Path, *, count: int = 3, closed: bool = True, size: int = 2000) -> list[str]:
    """A store file with some streams, closed in good order; their generations."""
    store = SqliteStore(path, durability="process")
    await store.open()
    maker = Maker()
    found = []
    for n in range(count):
        info, _ = written(maker, store, f"s/{n}", *(bytes([n]) * size for _ in range(20)))
        if closed:
            store.write(maker.append(info.generation, ending=EndingKind.COMPLETED))
        found.append(info.generation)
    await store.committed(store.write(maker.create("last")))
    await store.close()
    return found
