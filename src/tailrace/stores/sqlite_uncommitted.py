"""What a SQLite store was told of streams and has not committed yet, laid over what a file says.

Taken before the file is read: what is committed meanwhile is in both, and each of these values
only grows, so the greater one is the later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tailrace.contracts import Writers
from tailrace.model import Producer, StreamInfo
from tailrace.stores.batch import Batch


class Uncommitted:
    """A moment's view of the batches, oldest first."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._renewals: dict[str, int] = {}
        self._trims: dict[str, int] = {}
        self._producers: dict[tuple[int, str], Producer] = {}
        self._writer_seqs: dict[int, str] = {}
        self.hidden: set[str] = set()
        """Generations that were deleted and stay for their forks."""
        for batch in batches:
            self._renewals |= batch.renewals
            self._trims |= batch.trims
            self._producers |= batch.producers
            self._writer_seqs |= batch.writer_seqs
            self.hidden |= batch.hidden

    def begin(self, generation: str, seq: int) -> int:
        """``seq``, or the place up to which the stream was trimmed."""
        return max(seq, self._trims.get(generation, 0))

    def applied(self, info: StreamInfo) -> StreamInfo:
        """The stream as it is by now."""
        generation = info.generation
        if generation not in self._renewals and generation not in self._trims:
            return info
        deadline = max(info.deadline or 0, self._renewals.get(generation, 0)) or None
        return replace(info, deadline=deadline, trimmed=self.begin(generation, info.trimmed))

    def writers(self, stream: int, found: Writers) -> Writers:
        """The same of what a stream remembers of its writers."""
        producers = {producer.id: producer for producer in found.producers}
        for (key, name), producer in self._producers.items():
            if key == stream:
                producers[name] = max(producer, producers.get(name, producer))
        seq = max(found.writer_seq, self._writer_seqs.get(stream, ""))
        return Writers(seq, tuple(producers.values()))
