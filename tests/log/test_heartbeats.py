"""The wheel over a loop whose time is the test's."""

from __future__ import annotations

from tailrace.log.heartbeats import Heartbeats
from tailrace.patience import GRACE
from tests.test_patience import Loop

PERIOD = 16.0
"""Each turn is a second."""


class Looked:
    """Says when it was looked at, and wants to be looked at again a turn later."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def look(self, now: float) -> float | None:
        self.at.append(now)
        return now + 1


def a_wheel() -> tuple[Loop, Looked]:
    loop, looked = Loop(), Looked()
    Heartbeats(loop, PERIOD).add(looked)  # type: ignore[arg-type]
    for second in range(1, 17):
        loop.run(float(second))
    assert looked.at == [16.0]
    return loop, looked


def test_after_a_gap_a_viewer_has_a_second_to_take_what_it_can_before_it_is_judged() -> None:
    loop, looked = a_wheel()
    loop.run(600.0)
    loop.run(600.0 + GRACE / 2)
    assert looked.at == [16.0]
    loop.run(600.0 + GRACE)
    assert looked.at == [16.0, 600.0 + GRACE]
    loop.run(601.0 + GRACE)
    assert looked.at == [16.0, 600.0 + GRACE, 601.0 + GRACE]


def test_a_loop_that_is_always_late_has_the_wheel_turn_all_the_same() -> None:
    loop, looked = a_wheel()
    for turn in range(1, 9):
        loop.run(16.0 + 100 * turn)
    assert looked.at == [16.0, *(16.0 + 100 * turn for turn in (2, 4, 6, 8))]
