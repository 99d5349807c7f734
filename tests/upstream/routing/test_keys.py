"""Keys in rotation: who rests is spared while there are others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.upstream.routing.keys import KeyRing


def test_keys_are_used_in_turn() -> None:
    ring = KeyRing(3)
    assert [ring.pick(0) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_one_that_rests_is_passed_over_until_it_is_rested() -> None:
    ring = KeyRing(3)
    ring.rest(1, 10)
    assert [ring.pick(9) for _ in range(4)] == [0, 2, 0, 2]
    assert [ring.pick(10) for _ in range(3)] == [0, 1, 2]


def test_a_rest_is_not_shortened_by_a_shorter_one() -> None:
    ring = KeyRing(1)
    ring.rest(0, 10)
    ring.rest(0, 5)
    assert ring.awake_at() == 10


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5), st.floats(0, 100))
def test_where_all_rest_it_is_the_one_that_wakes_first(rests: list[float], now: float) -> None:
    ring = KeyRing(len(rests))
    for key, until in enumerate(rests):
        ring.rest(key, until)
    picked = ring.pick(now)
    assert ring.awake_at() == min(rests)
    assert rests[picked] <= now or rests[picked] == min(rests)
