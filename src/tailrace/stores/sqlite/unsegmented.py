"""Tails: what the SQLite store keeps in memory, and the plan of what leaves it. Sans-I/O.

Every open stream has a tail: its events that are in the journal but in no segment yet. Reads
of that part are answered from here, so nobody ever searches the journal. A closed stream stays
only until its last events are in segments; memory does not grow with the number of streams
that were ever closed.

    journal rows     | 7 | 8 | 9 | 10 | 11 |  (12: being filled)
    tail of A                  x   x          first_row = 9
    tail of B          x           x          first_row = 8   <- rows below 8 can go
    tail of C                            x    first_row = 12

Row by row the journal can only shrink from its old end, so what matters is the tail that
reaches back farthest. Tails are kept in the order of ``first_row``: a tail joins at the new end
when its first event comes, and after a move, when all it has left is newer than that move.

A tail is *due* for a move when its stream has closed, when it weighs 256 KiB, or when it is
what keeps a row that has to go: for the journal's limit, or for an erasure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from tailrace.errors import StoreUnavailable
from tailrace.model import Ending, Event, StreamInfo
from tailrace.stores.event_memory import EVENT_OVERHEAD, take, weight
from tailrace.stores.sqlite.batch import Batch, CloseChange, Move
from tailrace.stores.sqlite.segments import SEGMENT_BYTES
from tailrace.stores.stream_index import Folder, StreamIndex

# Bytes laid into segments by one transaction beside its journal row. It bounds how long an
# acknowledgement waits behind a move: 1 MiB is written in some 10 ms by a modest disk.
MOVE_BUDGET: Final = 1024 * 1024
# Journal bytes cleared by one transaction (each page is overwritten with zeros), likewise.
TRIM_BUDGET: Final = 4 * 1024 * 1024


# Of a tail that is in no listing.
_NOWHERE: Final = Folder()


class Tail:
    """One stream that is open, or not yet wholly in segments."""

    __slots__ = (
        "_info",
        "bytes",
        "ending",
        "events",
        "first_row",
        "folder",
        "last_seq",
        "segmented",
        "size",
        "stream",
    )

    def __init__(self, stream: int, info: StreamInfo, segmented: int) -> None:
        self.stream = stream
        self._info = info
        self.last_seq = info.last_seq
        self.size = info.size
        self.ending = info.ending
        self.folder = _NOWHERE
        self.segmented = segmented
        """The last event that is in a segment; everything after it is in ``events``."""
        self.events: list[Event] = []
        self.bytes = 0
        """What ``events`` take in memory."""
        self.first_row = 0
        """The journal row of the oldest of ``events``; meaningless while there are none."""

    @property
    def name(self) -> str:
        return self._info.name

    @property
    def generation(self) -> str:
        return self._info.generation

    @property
    def info(self) -> StreamInfo:
        return replace(self._info, last_seq=self.last_seq, size=self.size, ending=self.ending)

    @property
    def deleted(self) -> bool:
        return self._info.deleted

    @property
    def deadline(self) -> int | None:
        return self._info.deadline

    def renew(self, deadline: int) -> None:
        """Set the time at which it expires."""
        self._info = replace(self._info, deadline=deadline)

    def trim(self, seq: int) -> None:
        """Give no events up to ``seq`` any more."""
        self._info = replace(self._info, trimmed=max(seq, self._info.trimmed))

    def note(self, data: bytes) -> None:
        """Replace what is noted of it."""
        self._info = replace(self._info, note=data)

    def roll_back(self, events: int, info: StreamInfo) -> None:
        """Be as it was before its last ``events`` events, and what was changed with them.

        ``info`` is what the file says of it.
        """
        kept = len(self.events) - events
        for event in self.events[kept:]:
            self.size -= len(event.data)
            self.last_seq -= 1
        del self.events[kept:]
        self.bytes = weight(self.events)
        self._info, self.ending = info, info.ending

    def hide(self) -> None:
        """It is deleted, and stays for its forks, which need no note of it."""
        self._info = replace(self._info, deleted=True, note=b"")

    def begin(self, seq: int) -> int:
        """``seq``, or the place before the first event that the stream itself still has."""
        return max(seq, self._info.trimmed, self._info.inherited)

    def refuse_gap(self, seq: int) -> None:
        """Raise StoreUnavailable where a file that gave nothing should have had something."""
        if self.begin(seq) < self.segmented:
            raise StoreUnavailable("The store could not read this part of its data.")

    def after(self, seq: int, limit: int) -> list[Event]:
        """The events after ``seq``, which is not below ``segmented``."""
        events = self.events
        low, high = 0, len(events)
        while low < high:
            middle = (low + high) // 2
            if events[middle].seq <= seq:
                low = middle + 1
            else:
                high = middle
        return take(events, low, limit)


class Tails:
    """All tails, and how the journal's rows depend on them."""

    def __init__(self, next_row: int = 1, next_stream: int = 1) -> None:
        self.row = next_row
        """The journal row that changes written now will be in."""
        self._next_stream = next_stream
        self._tails: dict[str, Tail] = {}
        self._names: dict[str, Tail] = {}
        self.listed: Final[StreamIndex[Tail]] = StreamIndex()
        """Those that a listing may show."""
        self._pinning: dict[str, Tail] = {}
        self._due: dict[str, Tail] = {}
        self._rows: deque[tuple[int, int]] = deque()
        self._journal_bytes = 0

    # --- changes ------------------------------------------------------------------------------

    def create(self, info: StreamInfo) -> int:
        """Begin a stream; return its key in the store."""
        stream = self._next_stream
        self._next_stream += 1
        self.adopt(Tail(stream, info, info.last_seq))
        return stream

    def adopt(self, tail: Tail) -> None:
        """Take in a tail as recovery found it, in the order of the tails' first rows."""
        self._tails[tail.generation] = tail
        self._names[tail.name] = tail
        if not tail.deleted:
            self.listed.add(tail)
        if tail.events:
            self._pinning[tail.generation] = tail
        if tail.ending is not None or tail.bytes >= SEGMENT_BYTES:
            self._due[tail.generation] = tail

    def append(self, tail: Tail, events: Sequence[Event], size: int) -> None:
        """Add events of ``size`` bytes. On the path of every event: nothing here is idle."""
        if not tail.events:
            tail.first_row = self.row
            self._pinning[tail.generation] = tail
        tail.events.extend(events)
        tail.last_seq = events[-1].seq
        tail.size += size
        tail.folder.bytes += size
        self.listed.all.bytes += size
        tail.bytes += size + EVENT_OVERHEAD * len(events)
        if tail.bytes >= SEGMENT_BYTES:
            self._due[tail.generation] = tail

    def close(self, tail: Tail, ending: Ending) -> CloseChange:
        """End a stream; what is left of its tail moves into segments soon."""
        tail.ending = ending
        self.listed.close(tail, ending)
        self._due[tail.generation] = tail
        return CloseChange(tail.stream, tail.last_seq, tail.size, ending)

    def roll_back(self, tail: Tail, events: int, info: StreamInfo) -> None:
        """Have a stream without what the store could not keep of it."""
        self.listed.discard(tail)
        tail.roll_back(events, info)
        if not tail.deleted:
            self.listed.add(tail)
        if not tail.events:
            self._pinning.pop(tail.generation, None)
        if tail.ending is None and tail.bytes < SEGMENT_BYTES:
            self._due.pop(tail.generation, None)

    def forget(self, generation: str) -> Tail | None:
        """Drop a stream from memory, if it is there."""
        tail = self._tails.pop(generation, None)
        if tail is None:
            return None
        self._pinning.pop(generation, None)
        self._due.pop(generation, None)
        self.listed.discard(tail)
        if self._names.get(tail.name) is tail:
            del self._names[tail.name]
        return tail

    def renew(self, tail: Tail, deadline: int) -> None:
        """Set the time at which a stream expires."""
        self.listed.renew(tail, deadline)
        tail.renew(deadline)

    def hide(self, tail: Tail) -> None:
        """A stream is deleted, and stays for its forks."""
        self.listed.discard(tail)
        tail.hide()

    # --- queries ------------------------------------------------------------------------------

    def get(self, generation: str) -> Tail | None:
        return self._tails.get(generation)

    def named(self, name: str) -> Tail | None:
        return self._names.get(name)

    def __iter__(self) -> Iterator[Tail]:
        return iter(self._tails.values())

    # --- the plan -----------------------------------------------------------------------------

    @property
    def has_due(self) -> bool:
        """Whether a move waits that no row needs to ask for."""
        return bool(self._due)

    @property
    def oldest_row(self) -> int:
        """The journal's oldest row; the one being filled while there is none."""
        return self._rows[0][0] if self._rows else self.row

    def excess_row(self, limit: int) -> int:
        """The newest row that has to go for the journal to fit into ``limit`` bytes, or 0."""
        excess = self._journal_bytes - limit
        found = 0
        for row, size in self._rows:
            if excess <= 0:
                break
            found, excess = row, excess - size
        return found

    def plan_moves(self, target: int) -> list[Move]:
        """What the next batch lays into segments: what is due, then what pins rows ≤ target."""
        moves: list[Move] = []
        room = MOVE_BUDGET
        for tail in self._candidates(target):
            moves.append(
                Move(
                    tail.stream,
                    tail.generation,
                    tail.events[:],
                    tail.last_seq,
                    tail.size,
                    tail.ending is not None,
                )
            )
            room -= tail.bytes
            if room <= 0:
                break
        return moves

    def _candidates(self, target: int) -> Iterator[Tail]:
        yield from self._due.values()
        for generation, tail in self._pinning.items():
            if tail.first_row > target:
                return
            if generation not in self._due:
                yield tail

    def plan_trim(self) -> int:
        """The row below which the next batch may clear the journal."""
        needed = next(iter(self._pinning.values())).first_row if self._pinning else self.row
        room = TRIM_BUDGET
        for row, size in self._rows:
            if row >= needed or room <= 0:
                return row
            room -= size
        return needed

    def begin_row(self) -> None:
        """The batch was sealed: what is written from now on goes into the next row."""
        self.row += 1

    def rejoin_row(self, row: int) -> None:
        """What was written since goes into ``row`` after all: that batch is made again."""
        for tail in self._pinning.values():
            tail.first_row = min(tail.first_row, row)
        self.row = row + 1

    def settle(self, batch: Batch) -> None:
        """The batch is durable, its moves are in segments."""
        self.add_row(batch.row, batch.bytes)
        while self._rows[0][0] < batch.trim:
            self._journal_bytes -= self._rows.popleft()[1]
        for move in batch.moves:
            tail = self._tails.get(move.generation)
            if tail is not None:
                self._moved(tail, move, batch.row)

    def add_row(self, row: int, size: int) -> None:
        """The journal has this row, newer than all the others; ``size`` as ``weight`` counts."""
        self._rows.append((row, size))
        self._journal_bytes += size

    def _moved(self, tail: Tail, move: Move, row: int) -> None:
        generation = tail.generation
        del tail.events[: len(move.events)]
        tail.segmented = move.last_seq
        tail.bytes = weight(tail.events)
        self._pinning.pop(generation, None)
        if tail.ending is not None and not tail.events:
            if move.closed:
                self.forget(generation)
            return
        if tail.events:
            tail.first_row = row + 1
            self._pinning[generation] = tail
        self._due.pop(generation, None)
        if tail.ending is not None or tail.bytes >= SEGMENT_BYTES:
            # Last in turn: one that grows as fast as it moves must not keep the others waiting.
            self._due[generation] = tail
