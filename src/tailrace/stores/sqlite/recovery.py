"""Recovery: what a SQLite store's file holds that belongs into memory.

Open streams come back as tails; the journal is replayed into them. Records that are in segments
already, or whose stream was deleted, are passed over: journal rows outlive both for a while.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from tailrace.model import Event, Offset, StreamInfo
from tailrace.stores.event_memory import weight
from tailrace.stores.sqlite.journal import decode, unseal
from tailrace.stores.sqlite.rows import SELECT_STREAM, ancestry_from_text, info_from_row
from tailrace.stores.sqlite.unsegmented import Tail


@dataclass(slots=True)
class Recovered:
    """What a file holds that belongs into memory."""

    tails: list[Tail] = field(default_factory=list)
    """Open streams, and closed ones that are not wholly in segments yet, by first row."""
    rows: list[tuple[int, int]] = field(default_factory=list)
    """The journal's rows and their weight."""
    forks: list[tuple[str, tuple[Offset, ...], bool]] = field(default_factory=list)
    """Generation, ancestry, and whether it was deleted, of forks and of what is kept for them."""
    next_row: int = 1
    next_stream: int = 1
    unerased: bool = False
    """Deleted streams may have left bytes: a crash came between delete and erasure."""


class Recovery:
    """Reads the open streams and the journal back into memory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._found = Recovered()
        self._tails: dict[int, Tail | None] = {}
        self._pinning: list[Tail] = []

    def run(self) -> Recovered:
        """Work and memory are bounded by the journal, whose size has a limit."""
        found = self._found
        for generation, ancestry, deleted in self._connection.execute(
            "SELECT generation, ancestry, deleted FROM streams WHERE ancestry <> '' OR deleted"
        ):
            found.forks.append((generation, ancestry_from_text(ancestry), bool(deleted)))
        for opened in self._connection.execute(SELECT_STREAM + "WHERE closed_in IS NULL"):
            info = info_from_row(opened)
            self._tails[opened[0]] = Tail(opened[0], info, info.last_seq)
        for row, *blob in self._connection.execute(
            "SELECT id, crc, plain, data FROM journal ORDER BY id"
        ):
            self._replay(row, unseal(*blob))
            found.next_row = row + 1
        idle = [tail for tail in self._tails.values() if tail and not tail.events]
        still_needed = [tail for tail in idle if tail.ending is None]
        found.tails = self._pinning + still_needed
        (newest,) = self._connection.execute("SELECT ifnull(max(id), 0) FROM streams").fetchone()
        found.next_stream = max([newest, *self._tails]) + 1
        return found

    def _replay(self, row: int, data: bytes) -> None:
        size = 0
        for stream, event in decode(data):
            size += weight((event,))
            tail = self._tail(stream)
            if tail is None:
                self._found.unerased = True
            elif event.seq > tail.segmented:
                self._add(tail, event, row)
        self._found.rows.append((row, size))

    def _add(self, tail: Tail, event: Event, row: int) -> None:
        if not tail.events:
            tail.first_row = row
            self._pinning.append(tail)
        tail.events.append(event)
        tail.bytes += weight((event,))
        if tail.ending is None:
            tail.last_seq = event.seq
            tail.size += len(event.data)

    def _tail(self, stream: int) -> Tail | None:
        """The tail of an open stream, or of a closed one that may not be wholly in segments."""
        if stream in self._tails:
            return self._tails[stream]
        row = self._connection.execute(SELECT_STREAM + "WHERE id = ?", (stream,)).fetchone()
        tail = None
        if row is not None:
            (segmented,) = self._connection.execute(
                "SELECT ifnull(max(last_seq), 0) FROM segments WHERE stream = ?", (stream,)
            ).fetchone()
            info = info_from_row(row)
            # What was trimmed has left its segment, and must not come back from the journal.
            tail = Tail(stream, info, max(segmented, info.trimmed))
        self._tails[stream] = tail
        return tail


def find_stream(connection: sqlite3.Connection, generation: str) -> StreamInfo | None:
    """What the file says of a stream."""
    row = connection.execute(SELECT_STREAM + "WHERE generation = ?", (generation,)).fetchone()
    return None if row is None else info_from_row(row)
