"""Stores as a crash would leave them, each with what had been acknowledged by then.

A history is written into a real store. After each acknowledged change the files are copied: that
is what a process killed at this moment leaves behind, since the store is not closed first.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tailrace.contracts import Change, Delete
from tailrace.errors import TailraceError
from tailrace.model import EndingKind, Event, StreamInfo
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker
from tests.fuzz.campaign import Finding

DB: Final = "a.db"
WAL: Final = "a.db-wal"
SHM: Final = "a.db-shm"
FILES: Final = (DB, WAL, SHM)

Files = dict[str, bytes]
"""File name → content."""


class Held(NamedTuple):
    """What a stream has: the digests of its events, and how it ended."""

    events: tuple[int, ...]
    ending: str


State = dict[str, Held]
"""Stream name → what it has."""


def digest(data: bytes) -> int:
    """Stands for an event's data."""
    return zlib.crc32(data)


@dataclass(frozen=True)
class Image:
    """The files after a change was acknowledged."""

    files: Files
    state: State


@dataclass
class History:
    """Images of one store in the order in which they were taken."""

    name: str
    images: list[Image] = field(default_factory=list)


# --- SQLite's write-ahead log, as far as it tells what may be lost -----------------------------

_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24


class Commit(NamedTuple):
    """Where one commit is in the log."""

    start: int
    end: int


def salts(wal: bytes) -> bytes:
    """What the frames of this log have in common; a log that begins anew has others."""
    return wal[16:24]


def frame_size(wal: bytes) -> int:
    """Bytes of a frame with its head."""
    return int.from_bytes(wal[8:12]) + _FRAME_HEADER


def commits(wal: bytes) -> Iterator[Commit]:
    """The commits of an undamaged log."""
    if len(wal) < _WAL_HEADER:
        return
    size = frame_size(wal)
    start = at = _WAL_HEADER
    while at + size <= len(wal):
        if wal[at + 8 : at + 16] != salts(wal):
            return  # of an earlier round
        is_last = wal[at + 4 : at + 8] != b"\0\0\0\0"
        at += size
        if is_last:
            yield Commit(start, at)
            start = at


# --- making histories -------------------------------------------------------------------------


class Writing:
    """A store that is being filled, and what it has acknowledged."""

    def __init__(self, directory: Path, history: History, maker: Maker) -> None:
        self.path = directory / DB
        self.history = history
        self.maker = maker
        self.state: State = dict(history.images[-1].state) if history.images else {}
        self._generations: dict[str, str] = {}
        self.store: SqliteStore

    async def open(self, journal_limit: int = 1 << 25, erase_within: float = 3600.0) -> None:
        self.store = SqliteStore(
            self.path, journal_limit=journal_limit, erase_within=erase_within, commit_interval=0.001
        )
        await self.store.open()
        if not self.history.images:
            await self.copy()

    async def settled(self, change: Change) -> None:
        await self.store.committed(self.store.write(change))

    async def create(self, name: str) -> None:
        create = self.maker.create(name)
        self._generations[name] = create.info.generation
        await self.settled(create)
        self.state[name] = Held((), "")
        await self.copy()

    async def append(self, name: str, *data: bytes) -> None:
        await self.settled(self.maker.append(self._generations[name], *data))
        held = self.state[name]
        self.state[name] = held._replace(events=(*held.events, *map(digest, data)))
        await self.copy()

    async def close_stream(self, name: str) -> None:
        kind = EndingKind.COMPLETED
        await self.settled(self.maker.append(self._generations[name], ending=kind))
        self.state[name] = self.state[name]._replace(ending=kind.value)
        await self.copy()

    async def delete(self, name: str) -> None:
        await self.settled(Delete(self._generations[name]))
        del self.state[name]
        await self.copy()

    async def copy(self) -> None:
        """Take an image; twice, until nothing was written in between."""
        before, files = None, read_files(self.path.parent)
        while files != before:
            await asyncio.sleep(0)
            before, files = files, read_files(self.path.parent)
        self.history.images.append(Image(files, dict(self.state)))


def read_files(directory: Path) -> Files:
    """Those of the store's files that there are."""
    return {name: (directory / name).read_bytes() for name in FILES if (directory / name).exists()}


def write_files(directory: Path, files: Files) -> None:
    """Let the directory hold these and nothing else."""
    for path in directory.iterdir():
        path.unlink()
    for name, data in files.items():
        (directory / name).write_bytes(data)


def payload(name: str, number: int) -> bytes:
    """The data of an event: no two are alike, some fill pages."""
    size = (number * 997) % 5000 if number % 3 == 0 else number * 13 % 200
    return f"{name}:{number}:".encode() + bytes((number + n) % 251 for n in range(size))


async def _one_log(writing: Writing) -> None:
    """All is in the log: the file has never had more than its first page."""
    await writing.open()
    for name in ("a", "b", "c"):
        await writing.create(name)
        for number in range(4):
            await writing.append(name, payload(name, number), payload(name, number + 100))
    await writing.close_stream("a")
    await writing.delete("b")


async def _reopened(writing: Writing) -> None:
    """Closed in good order once, then a log over it; the last image is closed again."""
    await _one_log(writing)
    await writing.store.close()
    await writing.copy()
    await writing.open(journal_limit=4000)
    for name in ("d", "e"):
        await writing.create(name)
        for number in range(6):
            await writing.append(name, payload(name, number))
    await writing.close_stream("d")
    await writing.store.close()
    await writing.copy()


_CHECKPOINT: Final = """
import os, sqlite3, sys
sqlite3.connect(sys.argv[1]).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
os._exit(0)  # without closing, which would reset the log
"""


async def _copied_log(writing: Writing) -> None:
    """The log is copied into the file in the middle, and goes on behind what was copied."""
    await writing.open(journal_limit=6000)
    await writing.create("f")
    for number in range(8):
        await writing.append("f", payload("f", number))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHECKPOINT, str(writing.path), stdout=subprocess.DEVNULL
    )
    assert await process.wait() == 0
    for number in range(8, 14):
        await writing.append("f", payload("f", number))
    await writing.create("g")
    await writing.append("g", payload("g", 1))


HISTORIES: Final = {
    "one-log": _one_log,
    "reopened": _reopened,
    "copied-log": _copied_log,
}


def make_histories(directory: Path) -> list[History]:
    """One of each kind."""

    async def main() -> list[History]:
        found = []
        for name, fill in HISTORIES.items():
            place = directory / name
            place.mkdir()
            history = History(name)
            writing = Writing(place, history, Maker())
            await fill(writing)
            if (place / WAL).exists():
                await writing.store.close()
            found.append(history)
        return found

    return asyncio.run(main())


# --- reading ----------------------------------------------------------------------------------


class Unreadable(NamedTuple):
    """Stands for a stream whose events could not be read, and were refused as they should be."""

    why: str


async def _read(store: SqliteStore, info: StreamInfo) -> list[Event]:
    """All events, read as a cursor reads; a step that leads back would be taken for ever."""
    events: list[Event] = []
    while batch := await store.read(info.generation, len(events), 1 << 20):
        events += batch
        if [event.seq for event in events] != list(range(1, len(events) + 1)):
            raise Finding("a read skips events or goes back", f"{info.name}: {events}"[:300])
    return events


async def read_state(store: SqliteStore) -> dict[str, Held | Unreadable]:
    """What an opened store says that it has."""
    found: dict[str, Held | Unreadable] = {}
    for info in (await store.list("", limit=1000)).streams:
        try:
            events = await _read(store, info)
        except TailraceError as error:
            found[info.name] = Unreadable(str(error))
            continue
        ending = info.ending.kind.value if info.ending else ""
        found[info.name] = Held(tuple(digest(event.data) for event in events), ending)
    return found
