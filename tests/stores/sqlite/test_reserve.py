"""The space that is kept for deletes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tailrace.stores.sqlite.reserve import RESERVE, Reserve

MIB = 1 << 20


class Usage(NamedTuple):
    free: int


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))


@pytest.mark.parametrize(
    ("free", "kept"),
    [(1 << 40, RESERVE), (16 * MIB, RESERVE), (8 * MIB, MIB // 2), (MIB - 16, 0), (0, 0)],
)
def test_it_takes_a_small_part_of_what_is_free_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, kept: int
) -> None:
    with_free(monkeypatch, free)
    Reserve(tmp_path / "a.db").fill()
    file = tmp_path / "a.db.reserve"
    assert (file.stat().st_size if file.exists() else 0) == kept


def test_what_was_given_up_is_taken_again_although_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free(monkeypatch, 8 * MIB)
    reserve, file = Reserve(tmp_path / "a.db"), tmp_path / "a.db.reserve"
    reserve.fill()
    size = file.stat().st_size
    assert file.stat().st_blocks * 512 >= size
    with_free(monkeypatch, 0)
    reserve.release()
    assert file.stat().st_size == 0
    reserve.fill()
    assert file.stat().st_size == size
    assert reserve.log_limit(4 * MIB) == size // 2
    with_free(monkeypatch, 1 << 40)
    assert reserve.log_limit(4 * MIB) == 4 * MIB


def test_a_place_that_cannot_be_used_is_passed_over(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "missing" / "a.db")
    reserve.fill()
    reserve.release()
    assert reserve.free() == 0
