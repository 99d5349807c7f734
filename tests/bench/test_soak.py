"""The soak says what grew."""

from __future__ import annotations

import os

from bench.soak import Held, held_by, judge


def test_a_little_more_or_less_is_no_growth() -> None:
    assert judge([Held(90.0, 24, 6), Held(200.0, 99, 9), Held(94.0, 26, 6)])


def test_memory_descriptors_or_threads_that_grew_are_found() -> None:
    before = Held(90.0, 24, 6)
    for after in (Held(150.0, 24, 6), Held(90.0, 60, 6), Held(90.0, 24, 30)):
        assert not judge([before, after])


def test_what_a_process_holds_is_read() -> None:
    held = held_by(os.getpid())
    assert held.megabytes > 1
    assert held.descriptors >= 3
    assert held.threads >= 1
