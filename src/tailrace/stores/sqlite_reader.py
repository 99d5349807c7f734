"""The reading half of the SQLite store: bounded queries on a few threads of their own.

Each query runs in one read transaction, so that a delete or a close that is committed meanwhile
is seen whole or not at all. Connections are made as they are needed, at most one per thread,
and cannot write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tailrace.contracts import Writers
from tailrace.errors import NotFound, StoreUnavailable
from tailrace.model import Ending, EndingKind, Event, Offset, Producer, StreamInfo
from tailrace.stores.journal import DamagedBlobError, unseal
from tailrace.stores.segments import extract, take

SELECT_STREAM: Final = (
    "SELECT id, name, generation, content_type, created, source, last_seq, size, ending,"
    " reason, ending_seq, ending_time, trimmed, ttl, expires_at, deadline, ancestry,"
    " forked_from, sub_offset, deleted, note FROM streams "
)
"""What ``info_from_row`` reads; a condition follows."""
# WAL readers wait only while a log is being recovered or truncated.
_BUSY_TIMEOUT_MS: Final = 2000
_SELECT_TOTALS: Final = "SELECT count(*), ifnull(sum(size), 0) FROM streams "
_SELECT_SIZE: Final = "SELECT size FROM streams "
# Which rows a listing is made of: closed streams of a prefix. ``_listed`` gives the values.
_LISTED: Final = "WHERE closed_in <= ? AND name >= ? AND name < ? AND NOT deleted"
_HAS_ALIAS: Final = "WHERE id = (SELECT stream FROM aliases WHERE name = ?)"
# The greatest code point: no name that continues a prefix sorts after it.
_LAST: Final = "\U0010ffff"


class Named(NamedTuple):
    """The streams that a name may mean."""

    own: list[StreamInfo]
    """Whose own it is: none, one, or two while a deletion is not committed."""
    further: StreamInfo | None
    """Whose further name it is."""


class Page(NamedTuple):
    """What of a listing is on disk: closed streams only."""

    streams: list[StreamInfo]
    total_streams: int
    total_size: int


class Query(NamedTuple):
    """A listing's parameters, and the moment that it shows."""

    prefix: str
    before: str
    limit: int
    oldest_closed: bool
    row: int
    """The last durable journal row as the listing began; what closed later is not in it."""
    hidden: Set[str]
    """Generations that the page leaves out: deleted, or known better in memory."""
    due: int | None = None
    renewals: Mapping[str, int] = MappingProxyType({})
    """For ``due``: deadlines that are later word than the file's, by generation."""


def info_from_row(row: Sequence[Any]) -> StreamInfo:
    """A stream from a row of SELECT_STREAM. Raises ValueError for an unknown ending."""
    ending = None
    if row[8] is not None:
        ending = Ending(EndingKind(row[8]), row[9], row[10], row[11])
    _, name, generation, content_type, created, source, last_seq, size = row[:8]
    trimmed, ttl, expires_at, deadline, ancestry, forked_from, sub_offset, deleted, note = row[12:]
    return StreamInfo(
        name,
        generation,
        content_type,
        created,
        source,
        last_seq,
        size,
        ending,
        trimmed,
        ttl,
        expires_at,
        deadline,
        ancestry_from_text(ancestry),
        forked_from,
        sub_offset,
        bool(deleted),
        note,
    )


def ancestry_from_text(text: str) -> tuple[Offset, ...]:
    """A fork's ancestors as its row has them. Raises ValueError where they do not parse."""
    ancestors = []
    for token in text.split():
        offset = Offset.parse(token)
        if offset is None:
            raise ValueError("an ancestor is no offset")
        ancestors.append(offset)
    return tuple(ancestors)


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
                "SELECT id, trimmed FROM streams WHERE generation = ?", (generation,)
            ).fetchone()
            if found is None:
                raise NotFound("There is no such stream.")
            stream, trimmed = found
            return _read_segments(connection, stream, max(after, trimmed), limit)

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
            streams = _page(connection, query)
            count, size = _totals(connection, query)
            return Page(streams, count, size)

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


def _page(connection: sqlite3.Connection, query: Query) -> list[StreamInfo]:
    if query.due is not None:
        return _due(connection, query, query.due)
    order = "ending_time, generation" if query.oldest_closed else "generation DESC"
    rows = connection.execute(
        f"{SELECT_STREAM} {_LISTED} AND generation < ? ORDER BY {order}",
        (*_listed(query), query.before or _LAST),
    )
    return _first(rows, query.limit, query.hidden)


def _due(connection: sqlite3.Connection, query: Query, now: int) -> list[StreamInfo]:
    """What is due by the file's deadlines, and what is by later word."""
    rows = connection.execute(
        f"{SELECT_STREAM} {_LISTED} AND generation < ? AND deadline <= ?"
        " ORDER BY deadline, generation",
        (*_listed(query), query.before or _LAST, now),
    )
    found = _first(rows, query.limit, query.hidden | query.renewals.keys())
    due = [generation for generation, at in query.renewals.items() if at <= now]
    for generation in set(due) - query.hidden:
        rows = connection.execute(
            f"{SELECT_STREAM} {_LISTED} AND generation < ? AND generation = ?",
            (*_listed(query), query.before or _LAST, generation),
        )
        found += _first(rows, 1, frozenset())
    return found


def _first(rows: sqlite3.Cursor, limit: int, hidden: Set[str]) -> list[StreamInfo]:
    found: list[StreamInfo] = []
    for row in rows:
        if len(found) >= limit:
            break
        if row[2] not in hidden:
            found.append(info_from_row(row))
    rows.close()
    return found


def _listed(query: Query) -> tuple[int, str, str]:
    return query.row, query.prefix, query.prefix + _LAST


def _totals(connection: sqlite3.Connection, query: Query) -> tuple[int, int]:
    values = _listed(query)
    count, size = connection.execute(_SELECT_TOTALS + _LISTED, values).fetchone()
    for generation in query.hidden:
        hidden = connection.execute(
            f"{_SELECT_SIZE} {_LISTED} AND generation = ?", (*values, generation)
        ).fetchone()
        if hidden is not None:
            count, size = count - 1, size - hidden[0]
    return count, size
