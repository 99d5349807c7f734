"""Deadlines, with a clock that is an argument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.log.expiry import Deadlines, first_deadline
from tailrace.model import StreamInfo


def stream(ttl: int | None, deadline: int | None) -> StreamInfo:
    return StreamInfo("s", "0" * 26, "text/plain", 0, ttl=ttl, deadline=deadline)


def test_a_date_of_expiry_is_not_moved_by_use() -> None:
    deadlines = Deadlines(0)
    info = stream(None, 5000)
    assert deadlines.touch(info, 4000) is None
    assert deadlines.of(info) == 5000


def test_a_restart_counts_as_a_use() -> None:
    assert Deadlines(100_000).of(stream(10, 50_000)) == 110_000


def test_the_store_is_told_once_a_tenth_of_the_ttl_has_gone_by() -> None:
    deadlines = Deadlines(0)
    info = stream(100, 100_000)
    assert deadlines.touch(info, 9_999) is None
    assert deadlines.of(info) == 109_999
    assert deadlines.touch(info, 10_000) == 110_000


@given(
    ttl=st.integers(1, 1000),
    uses=st.lists(st.integers(0, 50_000), min_size=1, max_size=60),
)
def test_each_use_counts_and_few_are_written(ttl: int, uses: list[int]) -> None:
    now, writes = 0, 0
    deadlines = Deadlines(0)
    info = stream(ttl, first_deadline(ttl, None, 0))
    began = now
    for pause in uses:
        now += pause
        told = deadlines.touch(info, now)
        if told is not None:
            writes += 1
            info = stream(ttl, told)
        assert deadlines.of(info) == now + ttl * 1000
    assert writes <= 10 * (now - began) / (ttl * 1000) + 1
