"""What a SQLite store was told of streams and has not committed yet, laid over what a file says.

Taken before the file is read. What it holds may be committed meanwhile and then be in both; what
is neither in it nor in the file was told later. Either way the answer is how things stood when
the question was asked, or later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tailrace.contracts import Writers
from tailrace.model import Producer, StreamInfo
from tailrace.stores.sqlite.batch import Batch


class Uncommitted:
    """A moment's view of the batches, oldest first."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.renewals: dict[str, int] = {}
        """New deadlines, by generation."""
        self.hidden: set[str] = set()
        """Generations that were deleted and stay for their forks."""
        self._trims: dict[str, int] = {}
        self._notes: dict[str, bytes] = {}
        for batch in batches:
            self.renewals |= batch.renewals
            self.hidden |= batch.hidden
            self._notes |= batch.notes
            for generation, seq in batch.trims.items():
                self._trims[generation] = max(seq, self._trims.get(generation, 0))

    def applied(self, info: StreamInfo) -> StreamInfo:
        """The stream as it is by now."""
        generation = info.generation
        deleted = info.deleted or generation in self.hidden
        return replace(
            info,
            deadline=self.renewals.get(generation, info.deadline),
            trimmed=max(info.trimmed, self._trims.get(generation, 0)),
            deleted=deleted,
            note=b"" if deleted else self._notes.get(generation, info.note),
        )


class UncommittedWriters:
    """The same of what one stream remembers of its writers; ``stream`` is its key."""

    def __init__(self, batches: Sequence[Batch], stream: int) -> None:
        self._writer_seq = ""
        self._producers: dict[str, Producer] = {}
        for batch in batches:
            self._writer_seq = batch.writer_seqs.get(stream, self._writer_seq)
            self._producers |= {
                name: p for (key, name), p in batch.producers.items() if key == stream
            }

    def applied(self, found: Writers) -> Writers:
        """The writers as they are by now."""
        producers = {producer.id: producer for producer in found.producers} | self._producers
        return Writers(self._writer_seq or found.writer_seq, tuple(producers.values()))


def taker_of(name: str, batches: Sequence[Batch]) -> str | None:
    """The generation that was the last to take a further name, of which the file may not say so
    yet. None: none did; empty: one that is gone.
    """
    for batch in reversed(batches):
        if takers := batch.aliases.get(name):
            return takers[-1]
    return None


def any_made(generations: Sequence[str], batches: Sequence[Batch]) -> bool:
    """Whether any of these streams is made by a batch, so that the file may not have it yet."""
    return any(generation in batch.creates for generation in generations for batch in batches)
