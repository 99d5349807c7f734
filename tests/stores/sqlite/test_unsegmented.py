"""Which tails move into segments, and in what order."""

from __future__ import annotations

from tailrace.model import DATA, Event, StreamInfo
from tailrace.stores.sqlite.batch import Batch
from tailrace.stores.sqlite.segments import SEGMENT_BYTES
from tailrace.stores.sqlite.unsegmented import MOVE_BUDGET, Tail, Tails


def open_stream(tails: Tails, name: str) -> Tail:
    tails.create(StreamInfo(name, name, "text/plain", 0))
    tail = tails.get(name)
    assert tail is not None
    return tail


def grow(tails: Tails, tail: Tail, size: int) -> None:
    tails.append(tail, [Event(tail.last_seq + 1, 0, DATA, b"x" * size)], size)


def commit(tails: Tails, meanwhile: tuple[Tail, int] | None = None) -> list[str]:
    """One commit; ``meanwhile`` a stream grows. Returns whose events moved."""
    batch = Batch()
    moves = tails.plan_moves(0)
    batch.seal(tails.row, moves, tails.plan_trim())
    tails.begin_row()
    if meanwhile is not None:
        grow(tails, *meanwhile)
    tails.settle(batch)
    return [move.generation for move in moves]


def test_a_stream_that_grows_as_fast_as_it_moves_does_not_keep_the_others_waiting() -> None:
    tails = Tails()
    fast, other = open_stream(tails, "fast"), open_stream(tails, "other")
    grow(tails, fast, MOVE_BUDGET)
    grow(tails, other, SEGMENT_BYTES)
    assert commit(tails, meanwhile=(fast, MOVE_BUDGET)) == ["fast"]
    assert "other" in commit(tails)


def test_what_moved_is_not_due_any_more() -> None:
    tails = Tails()
    stream = open_stream(tails, "s")
    grow(tails, stream, SEGMENT_BYTES)
    assert commit(tails) == ["s"]
    assert not tails.has_due
    assert (stream.events, stream.segmented) == ([], 1)
