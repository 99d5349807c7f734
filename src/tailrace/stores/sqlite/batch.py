"""A batch: everything that one transaction of the SQLite store makes durable. Sans-I/O.

The event loop's thread fills a batch and seals it; from then on only the writer's thread reads
it. Nothing is shared and nothing needs a lock.

Order inside a batch needs no record. Deletes go first: whatever else the batch holds about a
deleted stream was dropped when the delete came, a name can be made again at once, and on a full
disk they free the room that the rest is about to take. A stream both made and deleted within
one batch leaves no trace. One that stays for its forks keeps its changes and is marked last.

Further names are the exception: who takes one is decided before the deletes, because a stream
that takes a name and is deleted at once has taken it nonetheless.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from tailrace.model import Ending, Event, Producer, StreamInfo
from tailrace.stores.event_memory import EVENT_OVERHEAD, weight
from tailrace.stores.sqlite.journal import Record

# Within ``Batch`` that name is a field's.
_Bytes: TypeAlias = bytes


class CloseChange(NamedTuple):
    """A stream's last state, to be written into its row."""

    stream: int
    last_seq: int
    size: int
    ending: Ending


class Move(NamedTuple):
    """The oldest unsegmented events of a stream, to be laid into segments."""

    stream: int
    generation: str
    events: Sequence[Event]
    last_seq: int
    """The stream's last event and size after these events, for the row of an open stream."""
    size: int
    closed: bool


@dataclass
class Batch:
    """Changes in the order of their numbers, folded by kind."""

    number: int = 0
    """The last change in it; all up to this one are durable once it is committed."""
    owners: list[str] = field(default_factory=list)
    """Of each change in it, in order, the generation; empty for a delete, which goes always."""
    bytes: int = 0
    """What its events take in memory, for the bounds on it."""
    beside: int = 0
    """What its further names and notes take."""
    records: list[Record] = field(default_factory=list)
    creates: dict[str, tuple[int, StreamInfo]] = field(default_factory=dict)
    closes: dict[str, CloseChange] = field(default_factory=dict)
    deletes: set[str] = field(default_factory=set)
    """Generations of streams that were made by an earlier batch."""
    dropped: set[int] = field(default_factory=set)
    """Streams whose records must not reach the journal."""
    producers: dict[tuple[int, str], Producer] = field(default_factory=dict)
    """By stream and id: how far they have come."""
    writer_seqs: dict[int, str] = field(default_factory=dict)
    renewals: dict[str, int] = field(default_factory=dict)
    """New deadlines, by generation."""
    trims: dict[str, int] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """Generations that were deleted and stay for their forks."""
    aliases: dict[str, list[str]] = field(default_factory=dict)
    """By further name, the generations that take it, in order. The last one of which there is a
    stream has it: of a closed stream only the file can say. Empty: it was made and deleted here."""
    notes: dict[str, _Bytes] = field(default_factory=dict)
    """By generation."""

    row: int = 0
    """The journal row it becomes. Its presence tells that the batch was committed."""
    moves: list[Move] = field(default_factory=list)
    trim: int = 0
    """Journal rows below this one hold nothing that is not in a segment too."""

    def delete(self, generation: str, stream: int | None) -> None:
        """Forget a stream; ``stream`` is its key if it has events that may be in the batch."""
        if stream is not None:
            self.dropped.add(stream)
        for changes in (self.closes, self.renewals, self.trims, self.notes):
            changes.pop(generation, None)
        self.hidden.discard(generation)
        if self.creates.pop(generation, None) is None:
            self.deletes.add(generation)
            return
        self.vacate(generation)

    def vacate(self, generation: str) -> None:
        """The names that it takes here are nobody's: there is no such stream in the file."""
        for takers in self.aliases.values():
            takers[:] = ["" if taker == generation else taker for taker in takers]

    def hide(self, generation: str) -> None:
        """A stream was deleted and stays for its forks, which need no note of it."""
        self.hidden.add(generation)
        self.notes.pop(generation, None)

    def alias(self, generation: str, name: str) -> None:
        """Give a stream a further name, if there is such a stream."""
        self.aliases.setdefault(name, []).append(generation)
        self.beside += EVENT_OVERHEAD + len(name)

    def note(self, generation: str, data: _Bytes) -> None:
        """Replace what is noted of a stream, if there is such a stream."""
        self.notes[generation] = data
        self.beside += EVENT_OVERHEAD + len(data)

    def trim_stream(self, generation: str, seq: int) -> None:
        """Keep none of its events up to ``seq``, nor up to an earlier trim's place."""
        self.trims[generation] = max(seq, self.trims.get(generation, 0))

    def part(self, units: Collection[str], streams: Mapping[int, str]) -> Batch:
        """The sealed batch with the changes of these generations only, all deletes, no moves.

        ``streams``: the generation of each stream that has events or writers here.
        """
        return replace(
            self,
            moves=[],
            records=[r for r in self.records if streams.get(r[0]) in units],
            creates={g: made for g, made in self.creates.items() if g in units},
            closes={g: close for g, close in self.closes.items() if g in units},
            producers={k: p for k, p in self.producers.items() if streams.get(k[0]) in units},
            writer_seqs={k: s for k, s in self.writer_seqs.items() if streams.get(k) in units},
            renewals={g: deadline for g, deadline in self.renewals.items() if g in units},
            trims={g: seq for g, seq in self.trims.items() if g in units},
            aliases={
                name: kept
                for name, takers in self.aliases.items()
                if (kept := [taker for taker in takers if not taker or taker in units])
            },
            notes={g: data for g, data in self.notes.items() if g in units},
        )

    def leave_out(self, units: Collection[str], streams: Mapping[int, str]) -> None:
        """Forget all changes of these generations, deletes excepted."""
        others = self.part({g for g in self.owners if g not in units}, streams)
        self.moves = []
        self.records, self.creates, self.closes = others.records, others.creates, others.closes
        self.producers, self.writer_seqs = others.producers, others.writer_seqs
        self.renewals, self.trims = others.renewals, others.trims
        self.aliases, self.notes = others.aliases, others.notes
        self._weigh()

    def numbers_of(self, units: Collection[str]) -> list[int]:
        """The numbers of the changes of these generations, deletes excepted."""
        first = self.number - len(self.owners) + 1
        return [first + n for n, owner in enumerate(self.owners) if owner in units]

    def seal(self, row: int, moves: list[Move], trim: int) -> None:
        """Decide what else the transaction does; nothing is added afterwards."""
        self.row, self.moves, self.trim = row, moves, trim
        self._drop()

    def absorb(self, later: Batch) -> None:
        """Take in what was written while this batch could not be committed.

        The moves are given up: they want room, and the disk may have none. They are planned
        anew once a commit succeeds.
        """
        self.number = max(self.number, later.number)
        self.owners += later.owners
        self.moves = []
        self.records += later.records
        self.dropped |= later.dropped
        # Before the deletes: nobody takes a name after having been deleted.
        for name, takers in later.aliases.items():
            self.aliases.setdefault(name, []).extend(takers)
        for generation in later.deletes:
            self.delete(generation, None)
        self.creates |= later.creates
        self.closes |= later.closes
        self.producers |= later.producers
        self.writer_seqs |= later.writer_seqs
        self.renewals |= later.renewals
        for generation, seq in later.trims.items():
            self.trim_stream(generation, seq)
        self.notes |= later.notes
        for generation in later.hidden:
            self.hide(generation)
        self._drop()
        self._weigh()

    def _weigh(self) -> None:
        self.bytes = sum(weight(events) for _, events in self.records)
        self.beside = sum(EVENT_OVERHEAD + len(data) for data in self.notes.values())
        for name, takers in self.aliases.items():
            self.beside += (EVENT_OVERHEAD + len(name)) * len(takers)

    def _drop(self) -> None:
        if not self.dropped:
            return
        gone = self.dropped
        self.records = [record for record in self.records if record[0] not in gone]
        self.producers = {key: p for key, p in self.producers.items() if key[0] not in gone}
        self.writer_seqs = {key: s for key, s in self.writer_seqs.items() if key not in gone}
        self.dropped = set()
