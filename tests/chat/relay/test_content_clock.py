"""Pings keep a connection alive, and are no content."""

from __future__ import annotations

from tailrace.chat.relay.content_clock import ContentClock


def test_it_runs_out_when_no_event_came_for_its_time() -> None:
    clock = ContentClock(10, now=0)
    assert not clock.ran_out(9, 0, runs=True)
    assert clock.ran_out(10, 0, runs=True)


def test_an_event_starts_it_anew() -> None:
    clock = ContentClock(10, now=0)
    assert not clock.ran_out(9, 3, runs=True)
    assert not clock.ran_out(18, 3, runs=True)
    assert clock.ran_out(19, 3, runs=True)


def test_it_stands_while_nothing_can_come() -> None:
    """The upstream was not asked yet, or is not read because the store has to catch up."""
    clock = ContentClock(10, now=0)
    assert not clock.ran_out(100, 0, runs=False)
    assert not clock.ran_out(109, 0, runs=True)
    assert clock.ran_out(110, 0, runs=True)


def test_time_in_which_nobody_could_look_is_no_silence() -> None:
    clock = ContentClock(10.0, 0.0)
    assert not clock.ran_out(60.0, 0, runs=True, late=55.0)
    assert clock.ran_out(65.0, 0, runs=True)
