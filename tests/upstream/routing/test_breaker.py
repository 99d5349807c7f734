"""The breaker: its table walked whole, and a model that walks beside it."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.upstream.routing.breaker import (
    FIRST_OPEN,
    LAST_OPEN,
    LEAST,
    MEMORY,
    RATE,
    WINDOW,
    Breaker,
    BreakerState,
)


def fed(*outcomes: bool, now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for ok in outcomes:
        breaker.record(breaker.begin(now), ok, now)
    return breaker


def opened(now: float = 0.0) -> Breaker:
    return fed(*[False] * LEAST, now=now)


def test_it_begins_closed_and_a_few_failures_in_a_row_open_nothing() -> None:
    breaker = fed(*[False] * (LEAST - 1))
    assert breaker.state(0) is BreakerState.CLOSED
    assert breaker.allows(0)
    assert breaker.due == 0


def test_nothing_but_failures_opens_it() -> None:
    breaker = opened(now=5)
    assert breaker.state(5) is BreakerState.OPEN
    assert not breaker.allows(5)
    assert breaker.due == 5 + FIRST_OPEN


def test_every_history_of_so_many_opens_it_exactly_at_the_rate() -> None:
    for outcomes in itertools.product([True, False], repeat=LEAST):
        bad = outcomes.count(False) >= RATE * LEAST
        # It is a failure that opens it: a success never does.
        opens = bad and not outcomes[-1]
        assert (fed(*outcomes).state(0) is BreakerState.OPEN) is opens, outcomes


def test_the_oldest_outcomes_are_forgotten() -> None:
    breaker = fed(*[True] * 1000, *[False] * WINDOW)
    assert breaker.state(0) is BreakerState.OPEN
    old = fed(*[False] * (LEAST - 1), now=0)
    old.record(old.begin(MEMORY + 1), False, MEMORY + 1)
    assert old.state(MEMORY + 1) is BreakerState.CLOSED


def test_half_open_lets_one_probe_pass() -> None:
    breaker = opened()
    assert breaker.state(FIRST_OPEN) is BreakerState.HALF_OPEN
    breaker.begin(FIRST_OPEN)
    assert not breaker.allows(FIRST_OPEN)


def test_a_probe_that_succeeds_closes_and_forgets() -> None:
    breaker = opened()
    breaker.record(breaker.begin(FIRST_OPEN), True, FIRST_OPEN + 1)
    assert breaker.state(FIRST_OPEN + 1) is BreakerState.CLOSED
    for _ in range(LEAST - 1):
        breaker.record(breaker.begin(9), False, 9)
    assert breaker.allows(9)


def test_a_probe_that_fails_opens_for_twice_as_long_up_to_a_bound() -> None:
    breaker, now, times = opened(), 0.0, []
    for _ in range(8):
        times.append(breaker.due - now)
        now = breaker.due
        breaker.record(breaker.begin(now), False, now)
    assert times[0] == FIRST_OPEN
    assert times[1] == 2 * FIRST_OPEN
    assert times[-1] == LAST_OPEN
    breaker.record(breaker.begin(breaker.due), True, breaker.due)
    for _ in range(LEAST):
        breaker.record(breaker.begin(now), False, now)
    assert breaker.due == now + FIRST_OPEN


def test_a_probe_without_an_outcome_leaves_room_for_another() -> None:
    breaker = opened()
    probe = breaker.begin(FIRST_OPEN)
    breaker.forget(probe, FIRST_OPEN)
    assert breaker.allows(FIRST_OPEN)
    breaker.begin(FIRST_OPEN)
    assert not breaker.allows(2 * FIRST_OPEN - 0.01)
    assert breaker.allows(2 * FIRST_OPEN), "a probe that lasts keeps others off only so long"


@pytest.mark.parametrize("ok", [True, False])
def test_what_began_before_says_nothing_of_now(ok: bool) -> None:
    breaker = Breaker()
    early = breaker.begin(0)
    for _ in range(LEAST):
        breaker.record(breaker.begin(0), False, 0)
    breaker.record(early, ok, 0.5)
    breaker.forget(early, 0.5)
    assert breaker.state(0.5) is BreakerState.OPEN
    assert breaker.due == FIRST_OPEN
    breaker.record(breaker.begin(1), True, 1)
    for _ in range(LEAST):
        breaker.record(early.again(), False, 1)
    assert breaker.state(1) is BreakerState.CLOSED


def test_an_outcome_can_be_put_in_anothers_place() -> None:
    breaker = Breaker()
    tickets = [breaker.begin(0) for _ in range(LEAST)]
    for ticket in tickets:
        breaker.record(ticket, True, 0)
    for ticket in tickets:
        breaker.record(ticket, False, 0)
    assert breaker.state(0) is BreakerState.OPEN


@pytest.mark.parametrize("seed", range(20))
def test_one_that_fails_three_in_ten_stays_closed(seed: int) -> None:
    chance = random.Random(seed)
    breaker = Breaker()
    for now in range(2000):
        assert breaker.allows(now), seed
        breaker.record(breaker.begin(now), chance.random() >= 0.3, now)


steps = st.lists(
    st.tuples(st.sampled_from(["ok", "fail", "forget"]), st.floats(0, 20)), max_size=80
)


@given(steps)
def test_it_is_never_stuck_and_never_lets_two_probes_pass_at_once(
    walk: list[tuple[str, float]],
) -> None:
    breaker, now = Breaker(), 0.0
    for what, passed in walk:
        now += passed
        if not breaker.allows(now):
            assert now < breaker.due <= now + LAST_OPEN
            assert breaker.state(breaker.due) is BreakerState.HALF_OPEN
            continue
        was_closed = breaker.state(now) is BreakerState.CLOSED
        ticket = breaker.begin(now)
        assert breaker.allows(now) is was_closed
        if what == "forget":
            breaker.forget(ticket, now)
            assert breaker.allows(now)
        else:
            breaker.record(ticket, what == "ok", now)
            if not was_closed:
                assert breaker.allows(now) is (what == "ok")
