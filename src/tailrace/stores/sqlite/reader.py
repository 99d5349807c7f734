"""The reading half of the SQLite store: bounded queries on a few threads of their own.

Each query runs in one read transaction, so that a delete or a close that is committed meanwhile
is seen whole or not at all. Connections are made as they are needed, at most one per thread,
and cannot write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tailrace.contracts import Writers
from tailrace.errors import NotFound, StoreUnavailable
from tailrace.model import Event, Producer, StreamInfo
from tailrace.stores.event_memory import take
from tailrace.stores.sqlite.journal import DamagedBlobError, unseal
from tailrace.stores.sqlite.listing import Page, Query
from tailrace.stores.sqlite.pages import page_of
from tailrace.stores.sqlite.rows import SELECT_STREAM, ancestry_from_text, info_from_row
from tailrace.stores.sqlite.segments import extract

# WAL readers wait only while a log is being recovered or truncated.
_BUSY_TIMEOUT_MS: Final = 2000
_HAS_ALIAS: Final = "WHERE id = (SELECT stream FROM aliases WHERE name = ?)"


class Named(NamedTuple):
    """The streams that a name may mean."""

    own: list[StreamInfo]
    """Whose own it is: none, one, or two while a deletion is not committed."""
    further: StreamInfo | None
    """Whose further name it is."""


class Reader:
    """Reads what is committed. Its methods may be called from several threads at once."""

    def __init__(self, path: Path, connector: Callable[[str], sqlite3.Connection]) -> None:
        self._uri = path.absolute().as_uri() + "?mode=rw"
        self._connector = connector
        self._idle: list[sqlite3.Connection] = []

    def read(self, generation: str, after: int, limit: int) -> list[Event]:
        """Events from segments, at least one if there is any.

        Raises NotFound, or StoreUnavailable where the disk or a segment is damaged.
        """
        with self._snapshot() as connection:
            found = connection.execute(
                "SELECT id, trimmed, ancestry, last_seq FROM streams WHERE generation = ?",
                (generation,),
            ).fetchone()
            if found is None:
                raise NotFound("There is no such stream.")
            stream, trimmed, text, last = found
            ancestry = ancestry_from_text(text)
            after = max(after, trimmed, ancestry[-1].seq if ancestry else 0)
            events = _read_segments(connection, stream, after, limit)
            _refuse_gaps(events, after, last)
            return events

    def writers(self, generation: str) -> Writers | None:
        """What is committed of those who append; None for a stream that is not."""
        with self._snapshot() as connection:
            found = connection.execute(
                "SELECT id, writer_seq FROM streams WHERE generation = ?", (generation,)
            ).fetchone()
            if found is None:
                return None
            rows = connection.execute(
                "SELECT id, epoch, seq, closed FROM producers WHERE stream = ?", found[:1]
            )
            return Writers(found[1], tuple(Producer(i, e, s, bool(c)) for i, e, s, c in rows))

    def find(self, name: str) -> Named:
        """The streams of that name, and the one that has it as a further one."""
        with self._snapshot() as connection:
            own = connection.execute(SELECT_STREAM + "WHERE name = ?", (name,)).fetchall()
            further = connection.execute(SELECT_STREAM + _HAS_ALIAS, (name,)).fetchone()
            found = None if further is None else info_from_row(further)
            return Named([info_from_row(row) for row in own], found)

    def list(self, query: Query) -> Page:
        """Closed streams of a prefix, and what they amount to."""
        with self._snapshot() as connection:
            return page_of(connection, query)

    def close(self) -> None:
        """Close the connections. No query may be running."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop() if self._idle else self._connect()
        except IndexError:  # another thread was faster
            connection = self._connect()
        except sqlite3.Error as error:
            raise _unreadable() from error
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except NotFound:
            connection.execute("COMMIT")
            self._idle.append(connection)
            raise
        except (sqlite3.Error, DamagedBlobError, ValueError) as error:
            connection.close()
            raise _unreadable() from error
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = self._connector(self._uri)
        try:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            connection.close()
            raise
        return connection


def _unreadable() -> StoreUnavailable:
    return StoreUnavailable("The store could not read this part of its data.")


def _refuse_gaps(events: Sequence[Event], after: int, last: int) -> None:
    """Raise ValueError unless ``events`` are those that follow ``after``.

    ``last``: the number of the stream's last event, once it has ended. A damaged file may have
    lost segments, or have them twice, and SQLite finds nothing wrong with it.
    """
    expected = after
    for event in events:
        expected += 1
        if event.seq != expected:
            raise ValueError("a segment is missing")
    if not events and last > after:
        raise ValueError("the last segments are missing")


def _read_segments(
    connection: sqlite3.Connection, stream: int, after: int, limit: int
) -> list[Event]:
    found: list[Event] = []
    size = 0
    rows = connection.execute(
        "SELECT crc, plain, data FROM segments WHERE stream = ? AND last_seq > ? ORDER BY last_seq",
        (stream, after),
    )
    for blob in rows:
        data = unseal(*blob)
        found += extract(data, stream, after)
        size += len(data)
        if size >= limit:
            break
    rows.close()
    return take(found, 0, limit)
