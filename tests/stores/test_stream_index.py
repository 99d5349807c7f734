"""Streams in memory in the orders of a listing, against the plain way to find them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Ending, EndingKind
from tailrace.stores.ordered import Ordered
from tailrace.stores.stream_index import LOOK, Folder, StreamIndex, Totals

keys = st.integers(0, 60).map(lambda n: f"{n:02d}")


@given(st.lists(st.tuples(st.booleans(), keys)), st.one_of(st.none(), keys))
def test_keys_are_in_order_whatever_was_added_and_removed(
    steps: list[tuple[bool, str]], place: str | None
) -> None:
    ordered, plain = Ordered[str](), set[str]()
    for adding, key in steps:
        if adding and key not in plain:
            ordered.add(key)
            plain.add(key)
        elif not adding:
            ordered.discard(key)
            plain.discard(key)
    assert list(ordered) == sorted(plain)
    assert len(ordered) == len(plain)
    assert list(ordered.since(place or "")) == sorted(k for k in plain if k >= (place or ""))
    below = [key for key in plain if place is None or key < place]
    assert list(ordered.before(place)) == sorted(below, reverse=True)


def test_many_keys_stay_in_order_while_blocks_are_cut_and_emptied() -> None:
    ordered = Ordered[str]()
    names = [f"{n * 7919 % 10_007:05d}" for n in range(10_007)]
    for name in names:
        ordered.add(name)
    assert list(ordered) == sorted(names)
    assert list(ordered.since("05000")) == sorted(names)[5000:]
    assert list(ordered.before("05000")) == sorted(names)[4999::-1]
    for name in names[:9000]:
        ordered.discard(name)
    assert list(ordered) == sorted(names[9000:])
    assert list(ordered.before(None)) == sorted(names[9000:], reverse=True)


@dataclass(eq=False)
class Listed:
    name: str
    generation: str
    size: int = 0
    ending: Ending | None = None
    deadline: int | None = None
    folder: Folder = field(default_factory=Folder)


names = st.sampled_from(["a", "a/1", "a/2/x", "a/2/y", "b/1", "b/11", "ab/1", "é/ü"])
prefixes = st.sampled_from(["", "a", "a/", "a/2", "a/2/", "b/1", "c/", "c", "é/"])
streams = st.lists(
    st.tuples(names, st.integers(0, 9), st.booleans(), st.one_of(st.none(), st.integers(0, 9))),
    max_size=12,
)


def made(given_streams: list[tuple[str, int, bool, int | None]]) -> list[Listed]:
    found = []
    for number, (name, size, closed, deadline) in enumerate(given_streams):
        ending = Ending(EndingKind.COMPLETED, "", 1, (number * 7) % 5) if closed else None
        found.append(Listed(name, f"{number:04d}", size, ending, deadline))
    return found


@given(streams, prefixes, st.integers(0, 14), st.integers(1, 5), st.sets(st.integers(0, 11)))
def test_a_page_is_what_looking_at_all_streams_would_find(
    given_streams: list[tuple[str, int, bool, int | None]],
    prefix: str,
    before: int,
    limit: int,
    gone: set[int],
) -> None:
    index, all_made = StreamIndex[Listed](), made(given_streams)
    for stream in all_made:
        index.add(stream)
    for number in gone:
        if number < len(all_made):
            index.discard(all_made[number])
            index.discard(all_made[number])
    kept = [s for n, s in enumerate(all_made) if n not in gone and s.name.startswith(prefix)]
    place = "" if before > 12 else f"{before:04d}"
    older = [s for s in kept if not place or s.generation < place]
    page = index.newest(prefix, place, limit)
    assert page.streams == sorted(older, key=lambda s: s.generation, reverse=True)[:limit]
    assert page.looked_to == ""
    assert page.totals == index.totals(prefix) == Totals(len(kept), sum(s.size for s in kept))
    closed = [(s.ending.time, s.generation, s) for s in older if s.ending]
    assert index.longest_closed(prefix, place, limit) == [s for *_, s in sorted(closed)[:limit]]
    due = [(s.deadline, s.generation, s) for s in older if s.deadline is not None]
    assert index.due(prefix, place, limit, 5) == [s for at, _, s in sorted(due) if at <= 5][:limit]


def test_what_is_closed_and_renewed_later_is_found_in_its_new_place() -> None:
    index = StreamIndex[Listed]()
    first, second = Listed("a", "1", deadline=5), Listed("b", "2")
    index.add(first)
    index.add(second)
    index.renew(first, 9)
    first.deadline = 9
    index.renew(second, 6)
    second.deadline = 6
    assert index.due("", "", 9, 9) == [second, first]
    assert index.due("", "", 9, 8) == [second]
    first.ending = Ending(EndingKind.COMPLETED, "", 1, 3)
    index.close(first, first.ending)
    assert list(index.closed()) == ["1"]
    index.discard(first)
    assert list(index.closed()) == []
    assert index.due("", "", 9, 9) == [second]


@pytest.mark.parametrize("every", [1, 3, 400])
def test_pages_of_a_prefix_with_many_names_find_each_stream_once(every: int) -> None:
    index = StreamIndex[Listed]()
    wanted = []
    for number in range(8 * LOOK):
        name = f"a/{'x' if number % every == 0 else 'y'}{number}"
        stream = Listed(name, f"{number:06d}")
        index.add(stream)
        wanted += [stream] if name.startswith("a/x") else []
    found: list[Listed] = []
    before = ""
    while True:
        page = index.newest("a/x", before, 100)
        found += page.streams
        if len(page.streams) == 100:
            before = page.streams[-1].generation
        elif not (before := page.looked_to):
            break
    assert found == wanted[::-1]
