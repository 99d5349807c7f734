"""A write-ahead log that was cut short by a crash is told from one that was damaged."""

from __future__ import annotations

import functools
import random
import sqlite3
import struct
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.stores.sqlite.wal import judge

PAGE = 512


class Log(NamedTuple):
    data: bytes
    ends: list[int]
    """Where each commit ends."""


@functools.cache
def logged(*, restarted: bool = False) -> Log:
    """As SQLite writes one, some commits of some pages each; ``restarted``: over an older one."""
    dice = random.Random(7)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.db"
        log = path.with_name("a.db-wal")
        connection = sqlite3.connect(path, isolation_level=None)
        for pragma in (f"page_size = {PAGE}", "journal_mode = WAL", "wal_autocheckpoint = 0"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
        if restarted:
            for _ in range(30):
                connection.execute("INSERT INTO t (data) VALUES (?)", (dice.randbytes(1500),))
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
        ends = [log.stat().st_size]
        for n in range(6):
            connection.execute("INSERT INTO t (data) VALUES (?)", (dice.randbytes(n * 150),))
            ends.append(log.stat().st_size)
        data = log.read_bytes()
        connection.close()
    if restarted:
        ends = [judge(data).valid]
    return Log(data, ends)


LAST = logged().ends[-2]


@given(place=st.integers(0, LAST - 1), change=st.integers(1, 255))
@settings(max_examples=200)
def test_any_byte_that_changed_before_the_last_commit_is_damage(place: int, change: int) -> None:
    data = bytearray(logged().data)
    data[place] ^= change
    verdict = judge(bytes(data))
    assert verdict.damaged
    assert verdict.valid == max([0, *(e for e in [32, *logged().ends] if e <= place)])


@pytest.mark.parametrize("place", [*range(32), *range(LAST - PAGE - 24, LAST - PAGE + 8)])
def test_no_byte_of_the_header_or_of_the_last_but_one_commits_head_changes_unnoticed(
    place: int,
) -> None:
    for change in (1, 0x80, 0xFF, logged().data[place]):
        data = bytearray(logged().data)
        data[place] ^= change
        assert judge(bytes(data)).damaged is bool(change)


@given(size=st.integers(0, len(logged().data)))
def test_a_log_that_was_cut_anywhere_is_no_damage(size: int) -> None:
    verdict = judge(logged().data[:size])
    assert not verdict.damaged
    ends = [end for end in logged().ends if end <= size]
    assert verdict.commits >= len(ends)
    assert verdict.valid >= max(ends, default=0)


@given(st.data())
@settings(max_examples=100)
def test_a_last_commit_of_which_only_some_sectors_were_written_is_no_damage(
    data: st.DataObject,
) -> None:
    """A crash before the sync: any of them may be there, the others as they were before."""
    log = logged()
    torn = bytearray(log.data)
    for start in range(LAST, len(torn), 512):
        if data.draw(st.booleans()):
            torn[start : start + 512] = bytes(len(torn[start : start + 512]))
    verdict = judge(bytes(torn))
    assert verdict.valid >= LAST
    assert not verdict.damaged


def test_frames_of_an_earlier_generation_behind_the_end_are_no_damage() -> None:
    log = logged(restarted=True)
    assert log.ends[0] < len(log.data)
    verdict = judge(log.data)
    assert not verdict.damaged
    assert verdict.commits == 6


@given(place=st.integers(0, 32 + PAGE))
@settings(max_examples=50)
def test_damage_is_told_before_frames_of_an_earlier_generation_too(place: int) -> None:
    data = bytearray(logged(restarted=True).data)
    data[place] ^= 0xFF
    assert judge(bytes(data)).damaged


def test_a_page_that_was_zeroed_is_damage() -> None:
    log = logged()
    for end in log.ends[:-1]:
        data = bytearray(log.data)
        data[end - PAGE - 24 : end] = bytes(PAGE + 24)
        assert judge(bytes(data)).damaged


@given(st.binary(max_size=3000))
def test_bytes_that_are_no_log_are_no_damage(data: bytes) -> None:
    assert judge(data) == (0, 0, False)


def test_a_log_of_which_there_is_no_more_than_a_header_is_empty() -> None:
    assert judge(logged().data[:32]) == (32, 0, False)
    assert struct.unpack(">I", logged().data[8:12]) == (PAGE,)
