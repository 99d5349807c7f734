"""Killed at any moment, the SQLite store has what it acknowledged, once."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from pathlib import Path

from tailrace.model import StreamInfo
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import read_all
from tests.stores.sqlite.crash_writer import payload

KILLS = 20
# The run that is not killed before it has said all that the test is about; where the dice say when,
# one in twenty tests saw no deleted stream with a fork. In the middle: later runs must keep it.
THOROUGH = KILLS // 2
ROOT = Path(__file__).parents[3]


def run_and_kill(path: Path, run: int, seed: int, lines: int) -> list[list[str]]:
    """Let a writer acknowledge so many lines, kill it, and return all that it had said."""
    program = "tests.stores.sqlite.crash_writer"
    command = [sys.executable, "-m", program, str(path), str(run), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        # A writer that hangs instead of acknowledging must not hang the test.
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stdout is not None
        said: list[str] = []
        while len(said) < lines or (run == THOROUGH and not has_done_all(said)):
            said.append(process.stdout.readline())
            assert said[-1], "the writer hung, or ended by itself"
        process.kill()
        said += process.stdout.readlines()
        watchdog.cancel()
    return [line.split() for line in said if line.endswith("\n")]


def has_done_all(said: list[str]) -> bool:
    """Whether a stream was closed, one deleted that a fork needs, and of those with further names
    one deleted and one not."""
    named = {verb: {line.split()[1] for line in said if line[0] == verb} for verb in "fcdn"}
    forked = any(f"{name}/fork" in named["f"] for name in named["d"])
    noted = bool(named["n"] - named["d"]) and bool(named["n"] & named["d"])
    return bool(named["c"]) and forked and noted


def test_no_acknowledged_change_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    path = tmp_path / "a.db"
    seen: dict[str, int] = {}
    closed: set[str] = set()
    deleted: set[str] = set()
    noted: set[str] = set()
    kept = 0
    for run in range(KILLS):
        for verb, name, *rest in run_and_kill(path, run, seed + run, dice.randrange(1, 120)):
            if verb in "af":
                seen[name] = int(rest[0]) if rest else 0
            else:
                {"c": closed, "d": deleted, "n": noted}[verb].add(name)
        kept += asyncio.run(check(path, run, seen, closed, deleted))
        asyncio.run(check_names(path, noted, deleted))
    assert seen
    assert kept, "no deleted stream was kept for a fork"
    assert closed
    assert deleted
    assert noted - deleted
    assert noted & deleted


async def check(
    path: Path, run: int, seen: dict[str, int], closed: set[str], deleted: set[str]
) -> int:
    """Returns how many deleted streams there are, kept for their forks."""
    kept = 0
    store = SqliteStore(path, durability="process")
    unfinished = {info.name: info for info in await store.open()}
    streams = {info.name: info for info in (await store.list("", limit=100_000)).streams}
    assert not deleted & streams.keys()
    for name, acknowledged in seen.items():
        info = streams.get(name)
        if info is None:
            # A delete may have become durable without having been acknowledged, in this run.
            assert name in deleted or name.startswith(f"{run}/")
            assert not name.endswith("/fork"), "no fork was ever deleted"
            deleted.add(name)
            continue
        if info.ancestry:
            source = await store.find(info.forked_from)
            assert source is not None
            assert source.deleted or source.name in streams
            kept += source.deleted
            await check_events(store, source, info.inherited)
            continue
        assert (info.ending is None) == (name in unfinished)
        assert info.ending is not None or name not in closed
        await check_events(store, info, acknowledged)
    await store.close()
    return kept


async def check_names(path: Path, noted: set[str], deleted: set[str]) -> None:
    store = SqliteStore(path, durability="process")
    await store.open()
    for name in noted:
        info = await store.find(name)
        assert name not in deleted or info is None or info.deleted
        gone = info is None or info.deleted
        assert await store.find(f"{name}/also") == (None if gone else info)
        assert info is None or info.note == (b"" if info.deleted else name.encode())
    await store.close()


async def check_events(store: SqliteStore, info: StreamInfo, acknowledged: int) -> None:
    assert info.last_seq >= acknowledged
    events = await read_all(store, info.generation, limit=3000)
    assert [event.seq for event in events] == list(range(1, info.last_seq + 1))
    assert info.size == sum(len(event.data) for event in events)
    for event in events:
        assert event.data == payload(info.name, event.seq)
    writers = await store.writers(info.generation)
    assert [producer.seq for producer in writers.producers] == [info.last_seq][: info.last_seq]
