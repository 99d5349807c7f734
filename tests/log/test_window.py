"""The tail in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.log.window import Window, fitting
from tailrace.model import DATA, Event


def event(seq: int, size: int = 1) -> Event:
    return Event(seq, 0, DATA, b"x" * size)


def add(window: Window, added: Event) -> None:
    window.extend([added], len(added.data))


def test_a_place_before_the_window_has_to_be_read_elsewhere() -> None:
    window = Window(10, 1000)
    add(window, event(11))
    assert window.read(9, 100, 100) is None
    assert window.read(10, 100, 100) == [event(11)]
    assert window.read(11, 100, 100) == []


def test_the_newest_event_stays_whatever_its_size() -> None:
    window = Window(0, 100)
    add(window, event(1))
    add(window, event(2, 10_000))
    assert window.read(1, 1, 1) == [event(2, 10_000)]


def test_an_event_larger_than_the_limit_is_given_alone() -> None:
    assert fitting([event(1, 50), event(2, 1)], 0, 10, 10) == [event(1, 50)]


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(0, 3000))
def test_what_is_held_is_always_a_consecutive_tail_within_the_limit(
    sizes: list[int], limit: int
) -> None:
    window = Window(0, limit)
    for index, size in enumerate(sizes, start=1):
        add(window, event(index, size))
        held = window.read(window.start, 10**9, 10**9)
        assert held is not None
        assert [e.seq for e in held] == list(range(window.start + 1, index + 1))
        assert window.size <= limit or len(held) == 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.data())
def test_a_read_gives_at_least_one_event_and_then_as_many_as_fit(
    sizes: list[int], data: st.DataObject
) -> None:
    events = [event(i, size) for i, size in enumerate(sizes)]
    start = data.draw(st.integers(0, len(events) - 1))
    size, count = data.draw(st.integers(0, 200)), data.draw(st.integers(1, 50))
    got = fitting(events, start, size, count)
    assert got == events[start : start + len(got)]
    assert 1 <= len(got) <= count
    assert len(got) == 1 or sum(len(e.data) for e in got) <= size
    more = events[start : start + len(got) + 1]
    if len(got) < count and len(more) > len(got):
        assert sum(len(e.data) for e in more) > size
