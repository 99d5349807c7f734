"""What is done with changes that the SQLite store cannot write: its memory goes back to the file.

All uncommitted changes of a stream stand on one another, so they are refused together: the stream
is as it was when it was last durable, and one whose making was refused is not there, nor are the
forks of it that were made since.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tailrace.model import StreamInfo
from tailrace.stores.forks import Forks
from tailrace.stores.sqlite.batch import Batch
from tailrace.stores.sqlite.unsegmented import Tails

_log: Final = logging.getLogger(__name__)

Tell = Callable[[str], None]

# Who waits for a change asks within moments of its commit; more are never asked for.
_REMEMBERED: Final = 10_000


class Refusals:
    """The numbers of refused changes, as far as anybody may ask for them."""

    def __init__(self, tails: Tails, forks: Forks) -> None:
        self._tails = tails
        self._forks = forks
        self._numbers: dict[int, None] = {}
        self.tell: Tell | None = None
        """Called with the generation of each stream that lost changes."""

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def streams(self) -> dict[int, str]:
        """The generation of each stream in memory, by its key in the store."""
        return {tail.stream: tail.generation for tail in self._tails}

    def refuse(self, refused: Mapping[str, StreamInfo | None], batches: Sequence[Batch]) -> None:
        """Undo all that ``batches``, oldest first, have of these streams.

        ``refused`` has what the file says of each.
        """
        if not refused:
            return
        lost = self._with_forks(refused, batches)
        streams = self.streams()
        for batch in batches:
            for number in batch.numbers_of(lost):
                self._numbers[number] = None
        for generation, info in lost.items():
            self._undo(generation, info, batches)
        for batch in batches:
            batch.leave_out(lost, streams)
        for number in list(self._numbers)[:-_REMEMBERED]:
            del self._numbers[number]
        self._tell(lost)

    @staticmethod
    def _with_forks(
        refused: Mapping[str, StreamInfo | None], batches: Sequence[Batch]
    ) -> dict[str, StreamInfo | None]:
        """And the forks of streams that will never have been; a fork is younger than its source."""
        lost = dict(refused)
        for batch in batches:
            for generation, (_, info) in batch.creates.items():
                if any(lost.get(a.generation, info) is None for a in info.ancestry):
                    lost[generation] = None
        return lost

    def _undo(self, generation: str, info: StreamInfo | None, batches: Sequence[Batch]) -> None:
        tail = self._tails.get(generation)
        if info is None:
            self._tails.forget(generation)
            self._forks.delete(generation)
        elif tail is not None:
            uncommitted = sum(
                len(events)
                for batch in batches
                for stream, events in batch.records
                if stream == tail.stream
            )
            self._tails.roll_back(tail, uncommitted, info)

    def _tell(self, lost: Mapping[str, StreamInfo | None]) -> None:
        if self.tell is None:
            return
        for generation in lost:
            try:
                self.tell(generation)
            except Exception:
                # Whoever was told fails; the commit of all others must not.
                _log.exception("a stream could not be told that it lost changes")
