"""A page of a listing costs the same however many streams there are: its steps are counted."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypedDict

import pytest

from tailrace.contracts import Listing, Store
from tailrace.model import Ending, EndingKind
from tailrace.stores import MemoryStore, SqliteStore
from tailrace.stores.sqlite.writer import connect
from tailrace.stores.stream_index import StreamIndex
from tailrace.testing.store_model import Maker
from tests.loop_meter import LoopMeter, metered
from tests.stores.test_stream_index import Listed

FEW, MANY = 1_000, 16_000


class Asked(TypedDict, total=False):
    prefix: str
    before: str
    limit: int
    oldest_closed: bool
    due: int


# All that the server asks its store for, and prefixes of every kind.
PAGES: dict[str, Asked] = {
    "all": {"prefix": ""},
    "a folder": {"prefix": "chat/"},
    "a folder of few": {"prefix": "rare/"},
    "an empty folder": {"prefix": "none/"},
    "few names": {"prefix": "chat/0012."},
    "many names of a folder": {"prefix": "chat/0"},
    "many names of no folder": {"prefix": "cha"},
    "a later page": {"prefix": "", "before": "01"},
    "the longest closed": {"prefix": "chat/", "oldest_closed": True},
    "the longest closed of few": {"prefix": "rare/", "oldest_closed": True},
    "what is due": {"prefix": "", "due": 1},
}


def name_of(number: int) -> str:
    """Half are in the folder that is asked for; a few are in one of few, and among the oldest."""
    if number < 20:
        return f"rare/{number:06d}"
    return f"{'chat' if number % 2 else 'logs'}/{number // 2 % 1000:04d}.{number}"


# --- in memory --------------------------------------------------------------------------------


def lines_of(work: Callable[[], object]) -> int:
    """Lines of Python that ``work`` runs."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def index_of(count: int) -> StreamIndex[Listed]:
    index = StreamIndex[Listed]()
    for number in range(count):
        ending = Ending(EndingKind.COMPLETED, "", 1, number)
        index.add(Listed(name_of(number), f"{number:06d}", 1, ending, number * 10))
    return index


def in_memory(index: StreamIndex[Listed], asked: Asked) -> None:
    prefix, before = asked["prefix"], asked.get("before", "")
    if "due" in asked:
        index.due(prefix, before, 100, asked["due"])
    elif "oldest_closed" in asked:
        index.longest_closed(prefix, before, 100)
    else:
        index.newest(prefix, before, 100)


def test_a_page_of_streams_in_memory_takes_as_many_steps_among_many_as_among_few() -> None:
    few, many = index_of(FEW), index_of(MANY)
    for what, asked in PAGES.items():
        before = lines_of(lambda asked=asked: in_memory(few, asked))  # type: ignore[misc]
        after = lines_of(lambda asked=asked: in_memory(many, asked))  # type: ignore[misc]
        # Those who look through names come upon more that do not match, up to a bound.
        assert after <= max(1.2 * before, 6_000), what


# --- on disk ----------------------------------------------------------------------------------


class Steps:
    """A connector that counts the instructions of SQLite's machine in listings."""

    def __init__(self) -> None:
        self.count = 0

    def connect(self, uri: str) -> sqlite3.Connection:
        connection = connect(uri)
        connection.set_progress_handler(self._step, 1)
        return connection

    def _step(self) -> int:
        self.count += 1
        return 0


async def fill(path: Path, count: int) -> None:
    """A store with so many closed streams, written past it: only what a listing reads."""
    store = SqliteStore(path)
    await store.open()
    await store.close()
    connection = connect(path.absolute().as_uri())
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO streams (id, generation, name, content_type, source, created, last_seq, size,"
        " ending, reason, ending_seq, ending_time, deadline)"
        " VALUES (?, ?, ?, 'text/plain', '', 0, 0, 1, 'completed', '', 1, ?, ?)",
        [(n, f"{n:026d}", name_of(n), n, n * 10) for n in range(count)],
    )
    connection.execute("UPDATE streams SET closed_in = 0")
    connection.execute("COMMIT")
    connection.close()


async def steps_of(path: Path, count: int) -> dict[str, tuple[int, Listing]]:
    await fill(path, count)
    steps = Steps()
    store = SqliteStore(path, connector=steps.connect)
    await store.open()
    found = {}
    for what, asked in PAGES.items():
        steps.count = 0
        page = await store.list(**asked)
        found[what] = steps.count, page
    await store.close()
    return found


def test_a_page_of_streams_on_disk_takes_as_many_steps_among_many_as_among_few(
    tmp_path: Path,
) -> None:
    few = asyncio.run(steps_of(tmp_path / "few.db", FEW))
    many = asyncio.run(steps_of(tmp_path / "many.db", MANY))
    for what, (steps, page) in many.items():
        assert steps <= max(1.3 * few[what][0], 40_000), what
        assert (page.total_streams is None) is (what.startswith("many names")), what
    assert many["all"][1].total_streams == MANY
    assert many["a folder"][1].total_streams == (MANY - 20) // 2
    assert many["few names"][1].total_streams == 8
    assert len(many["the longest closed of few"][1].streams) == 20


# --- the loop ---------------------------------------------------------------------------------

# A page is to keep others waiting for a millisecond at most. In CPU time of this thread, with
# room for a slow machine that others use, too; counting all streams anew takes fifty times as
# long.
LONGEST = 0.030
OPEN = 10_000


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_pages_of_many_open_streams_keep_nobody_waiting(kind: str, tmp_path: Path) -> None:
    meter = LoopMeter()

    async def scenario() -> None:
        sqlite = SqliteStore(tmp_path / "a.db", durability="process")
        store: Store = sqlite if kind == "sqlite" else MemoryStore(1 << 40)
        await store.open()
        maker = Maker()
        creates = [maker.create(name_of(number)) for number in range(OPEN)]
        for start in range(0, OPEN, 1000):
            numbers = [store.write(create) for create in creates[start : start + 1000]]
            await store.committed(numbers[-1])
        own = creates[-1].info.generation

        async def client() -> None:
            for asked in PAGES.values():
                await store.list(**asked)
                await asyncio.sleep(0)

        async def append() -> None:
            for _ in range(20):
                await store.committed(store.write(maker.append(own, b"x")))

        meter.reset()
        await asyncio.gather(append(), *(client() for _ in range(8)))
        assert meter.longest < LONGEST
        await store.close()

    metered(meter, scenario())
