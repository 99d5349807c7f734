"""The writing half of the SQLite store: plain, blocking, on one thread of its own.

``commit`` makes one batch durable in one transaction. It never mends anything: on any error it
rolls back, closes the connection and raises, because after a failed fsync the kernel may
have dropped the pages and call the next one a success. What comes next is ``reopen``, which
reads from the file how far the journal really got.

Choices, each with its reason
-----------------------------
journal_mode=WAL         readers never wait for the writer
synchronous=FULL         one fsync per commit, before it is acknowledged. For durability
                         "process" NORMAL: no fsync per commit; a killed process loses nothing,
                         a power cut the last commits, and the file stays consistent. (OFF
                         would be little faster and could ruin the file.)
fullfsync, checkpoint_fullfsync   macOS: fsync alone does not reach the platter. No-op elsewhere
secure_delete=ON         freed bytes are overwritten with zeros: prompts and answers are private
auto_vacuum=INCREMENTAL  an erasure gives space back in bounded steps; set before the first table
wal_autocheckpoint=2000  8 MiB of log: fewer checkpoints than the default 1000 under load, and
                         still a small file beside the journal's limit
cache_size=-8192         8 MiB; the writer appends and hardly reads
temp_store=MEMORY        nothing private in temporary files
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tailrace.model import Event, StreamInfo
from tailrace.stores import sqlite_schema as schema
from tailrace.stores.batch import Batch, Move, weight
from tailrace.stores.journal import checksum, decode, encode, verify
from tailrace.stores.segments import cut
from tailrace.stores.sqlite_reader import SELECT_STREAM, info_from_row
from tailrace.stores.tails import Tail

Durability: TypeAlias = Literal["full", "process"]

Connector: TypeAlias = Callable[[str], sqlite3.Connection]
"""Opens a connection to a ``file:`` URI. A seam: tests put a failing disk behind it."""

# How long to wait for a lock that somebody else holds (a backup, the sqlite3 shell). Ours is
# the only writer, so waiting is rare; a thread waits, not the event loop.
BUSY_TIMEOUT_MS: Final = 2000
# Free pages are kept for reuse up to this many (16 MiB of 4 KiB): the journal lives on them.
# What is beyond goes back to the file system, so many at a time.
_SPARE_PAGES: Final = 4096
_VACUUM_PAGES: Final = 2048

_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA secure_delete = ON",
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA cache_size = -8192",
    "PRAGMA temp_store = MEMORY",
)


def connect(uri: str) -> sqlite3.Connection:
    """A connection as the store wants it: explicit transactions, handed between threads."""
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


@dataclass(slots=True)
class Recovered:
    """What a file holds that belongs into memory."""

    tails: list[Tail] = field(default_factory=list)
    """Open streams, and closed ones that are not wholly in segments yet, by first row."""
    rows: list[tuple[int, int]] = field(default_factory=list)
    """The journal's rows and their weight."""
    next_row: int = 1
    next_stream: int = 1
    unerased: bool = False
    """The journal holds events of deleted streams: a crash came between delete and erasure."""


class Writer:
    """Owns the connection that writes."""

    def __init__(
        self,
        path: Path,
        connector: Connector = connect,
        durability: Durability = "full",
        migrations: Sequence[schema.Migration] = schema.MIGRATIONS,
    ) -> None:
        self._path = path
        self._connector = connector
        self._synchronous = "FULL" if durability == "full" else "NORMAL"
        self._migrations = migrations
        self._connection: sqlite3.Connection | None = None

    def open(self) -> Recovered:
        """Check, migrate and recover. Raises StoreTooNew, StoreCorrupt, sqlite3.Error, OSError."""
        schema.check_header(self._path)
        try:
            self._check()
            connection = self._connect()
            schema.migrate(connection, self._migrations)
            return Recovery(connection).run()
        except (sqlite3.DatabaseError, ValueError) as error:
            self._drop()
            if isinstance(error, sqlite3.DatabaseError) and not schema.is_damage(error):
                raise
            raise schema.corrupt(self._path, str(error)) from error
        except BaseException:
            self._drop()
            raise

    def commit(self, batch: Batch) -> None:
        """Make a sealed batch durable, whole or not at all."""
        connection = self._connection or self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            _apply(connection, batch)
            connection.execute("COMMIT")
        except BaseException:
            self._drop()
            raise

    def reopen(self) -> int:
        """Begin anew after a failure; return the journal's newest row.

        What an earlier connection wrote is first copied out of the log, which makes SQLite
        write and fsync it again: its presence in the page cache proves nothing after a failed
        fsync. Only for want of space that may fail, since no page was lost then.
        """
        self._drop()
        connection = self._connect()
        try:
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                if schema.primary_code(error) != sqlite3.SQLITE_FULL:
                    raise
            return _newest_row(connection)
        except BaseException:
            self._drop()
            raise

    def erase(self) -> tuple[bool, bool]:
        """Clear the log, and give back a step's worth of free pages.

        Returns whether the log is clear (a reader may be in the way), and whether more pages
        are to be given back.
        """
        connection = self._connection or self._connect()
        try:
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            spare = free - _SPARE_PAGES
            if spare > 0:
                step = min(spare, _VACUUM_PAGES)
                connection.execute(f"PRAGMA incremental_vacuum({step})").fetchall()
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except BaseException:
            self._drop()
            raise
        return not busy, spare > _VACUUM_PAGES

    def close(self) -> None:
        """Close; as the last connection in good order this also empties and removes the log."""
        self._drop()

    def _check(self) -> None:
        if not self._path.exists():
            # The file holds what people said to each other; the log inherits its permissions.
            self._path.touch(mode=0o600)
            return
        if self._path.stat().st_size == 0:
            return
        connection = self._connector(self._path.absolute().as_uri() + "?mode=ro")
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            schema.check(connection, self._path, self._migrations)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if not version:
                return  # killed in its very first start, before there were tables
            # Recovery will read the journal again; here nothing has been written to yet.
            for crc, data in connection.execute("SELECT crc, data FROM journal"):
                verify(data, crc)
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = self._connector(self._path.absolute().as_uri() + "?mode=rw")
        self._connection = connection
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma).fetchall()
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except BaseException:
            self._drop()
            raise
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # Closing rolls back what is open. It can fail only on the medium that just failed.
        with suppress(sqlite3.Error):
            connection.close()


def _apply(connection: sqlite3.Connection, batch: Batch) -> None:
    for generation in batch.deletes:
        _delete(connection, generation)
    connection.executemany(
        "INSERT INTO streams (id, generation, name, content_type, source, created, last_seq,"
        " size) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [_row_of(stream, info) for stream, info in batch.creates.values()],
    )
    connection.executemany(
        "UPDATE streams SET last_seq = ?, size = ?, ending = ?, reason = ?, ending_seq = ?,"
        " ending_time = ?, closed_in = ? WHERE id = ?",
        [
            (
                close.last_seq,
                close.size,
                close.ending.kind.value,
                close.ending.reason,
                close.ending.seq,
                close.ending.time,
                batch.row,
                close.stream,
            )
            for close in batch.closes.values()
        ],
    )
    for move in batch.moves:
        _move(connection, move)
    connection.execute("DELETE FROM journal WHERE id < ?", (batch.trim,))
    data = encode(batch.records)
    connection.execute(
        "INSERT INTO journal (id, crc, data) VALUES (?, ?, ?)", (batch.row, checksum(data), data)
    )


def _row_of(stream: int, info: StreamInfo) -> tuple[object, ...]:
    return (
        stream,
        info.generation,
        info.name,
        info.content_type,
        info.source,
        info.created,
        info.last_seq,
        info.size,
    )


def _delete(connection: sqlite3.Connection, generation: str) -> None:
    row = connection.execute("SELECT id FROM streams WHERE generation = ?", (generation,))
    found = row.fetchone()
    if found is None:
        return
    connection.execute("DELETE FROM segments WHERE stream = ?", found)
    connection.execute("DELETE FROM streams WHERE id = ?", found)


def _move(connection: sqlite3.Connection, move: Move) -> None:
    for events in cut(move.events):
        data = encode([(move.stream, events)])
        connection.execute(
            "INSERT INTO segments (stream, last_seq, crc, data) VALUES (?, ?, ?, ?)",
            (move.stream, events[-1].seq, checksum(data), data),
        )
    if not move.closed:
        connection.execute(
            "UPDATE streams SET last_seq = ?, size = ? WHERE id = ?",
            (move.last_seq, move.size, move.stream),
        )


def _newest_row(connection: sqlite3.Connection) -> int:
    (row,) = connection.execute("SELECT ifnull(max(id), 0) FROM journal").fetchone()
    return int(row)


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
        for opened in self._connection.execute(SELECT_STREAM + "WHERE closed_in IS NULL"):
            info = info_from_row(opened)
            self._tails[opened[0]] = Tail(opened[0], info, info.last_seq)
        for row, crc, data in self._connection.execute(
            "SELECT id, crc, data FROM journal ORDER BY id"
        ):
            self._replay(row, verify(data, crc))
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
            tail = Tail(stream, info_from_row(row), segmented)
        self._tails[stream] = tail
        return tail
