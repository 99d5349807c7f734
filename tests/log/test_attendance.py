"""When an answer has gone unwatched for long enough."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.log.attendance import unwatched_at

TIMES = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("blocked", "left_at", "expected"),
    [
        ([], 100.0, 160.0),
        ([None], 0.0, math.inf),
        ([10.0], 0.0, 10.0 + 30 + 60),
        ([10.0, None], 0.0, math.inf),
        ([10.0, 50.0], 0.0, 50.0 + 30 + 60),
        ([10.0], 500.0, 560.0),
    ],
)
def test_table(blocked: list[float | None], left_at: float, expected: float) -> None:
    assert unwatched_at(blocked, left_at, keep=60, stall=30) == expected


@given(st.lists(TIMES), TIMES, TIMES)
def test_another_stuck_viewer_never_shortens_an_answers_life(
    blocked: list[float], left_at: float, more: float
) -> None:
    before = unwatched_at(blocked, left_at, keep=60, stall=60)
    assert unwatched_at([*blocked, more], left_at, keep=60, stall=60) >= before


@given(st.lists(st.none() | TIMES), TIMES)
def test_an_answer_that_somebody_watches_goes_on(
    blocked: list[float | None], left_at: float
) -> None:
    assert math.isinf(unwatched_at([*blocked, None], left_at, keep=0, stall=0))
