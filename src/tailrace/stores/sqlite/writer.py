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
wal_autocheckpoint=0     checkpoints are made here, because what is in the log has to be noted
                         for ``scrub`` before it is gone from it
cache_size=-8192         8 MiB; the writer appends and hardly reads
temp_store=MEMORY        nothing private in temporary files
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias

from tailrace.model import StreamInfo
from tailrace.stores.forks import Plan
from tailrace.stores.sqlite import schema
from tailrace.stores.sqlite.apply import apply, attempt, clear_journal, delete, newest_row
from tailrace.stores.sqlite.batch import Batch
from tailrace.stores.sqlite.failures import find_fitting, may_want_room
from tailrace.stores.sqlite.journal import unseal
from tailrace.stores.sqlite.recovery import Recovered, Recovery, find_stream
from tailrace.stores.sqlite.reserve import Reserve
from tailrace.stores.sqlite.scrub import pages_in_log, scrub, scrub_free

Durability: TypeAlias = Literal["full", "process"]

Connector: TypeAlias = Callable[[str], sqlite3.Connection]
"""Opens a connection to a ``file:`` URI. A seam: tests put a failing disk behind it."""

Refused: TypeAlias = Mapping[str, StreamInfo | None]
"""Generations whose changes cannot be written, and what the file says of each stream."""

# How long to wait for a lock that somebody else holds (a backup, the sqlite3 shell). Ours is
# the only writer, so waiting is rare; a thread waits, not the event loop.
BUSY_TIMEOUT_MS: Final = 2000
# Free pages are kept for reuse up to this many (16 MiB of 4 KiB): the journal lives on them.
# What is beyond goes back to the file system, so many at a time.
_SPARE_PAGES: Final = 4096
_VACUUM_PAGES: Final = 2048
# Near a full disk a delete gives back free pages until so many bytes are free: what the log grows
# to before it is copied (see below), and some more.
_ROOM: Final = 16 * 1024 * 1024
# Bytes of events in the log before it is copied into the file. The log becomes two or three
# times as large (pages are written whole, cleared ones too), which is some 10 MiB.
_CHECKPOINT_BYTES: Final = 4 * 1024 * 1024
# What a commit writes beside events: some pages of indexes and of the file's own book-keeping.
_COMMIT_OVERHEAD: Final = 16 * 1024

_INCREMENTAL: Final = 2
"""What ``PRAGMA auto_vacuum`` says where it is set."""

_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA secure_delete = ON",
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA cache_size = -8192",
    "PRAGMA temp_store = MEMORY",
)


def connect(uri: str) -> sqlite3.Connection:
    """A connection as the store wants it: explicit transactions, handed between threads."""
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


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
        self._file: BinaryIO | None = None
        self._log_bytes = 0
        self._log_limit = _CHECKPOINT_BYTES
        self._reserve = Reserve(path)
        self._failed = False
        """Whether what the page cache has may differ from what the disk has."""
        self._free_zeroed = True
        """Whether free pages have none of the bytes that they held."""
        self._changed: set[int] | None = None
        """Pages that changed since they were scrubbed; None: any may have."""

    def open(self) -> Recovered:
        """Check, migrate and recover. Raises StoreTooNew, StoreCorrupt, sqlite3.Error, OSError."""
        schema.check_header(self._path)
        schema.check_log(self._path, synced=self._synchronous == "FULL")
        crashed = schema.has_log(self._path)
        guard: sqlite3.Connection | None = None
        try:
            guard = self._check()
            # Opened before the first connection and closed after the last: closing any
            # descriptor of a file gives up all POSIX locks that the process has on it.
            self._file = self._path.open("r+b", buffering=0)
            connection = self._connect()
            schema.migrate(connection, self._migrations)
            found = Recovery(connection).run()
            # Whatever was deleted before a crash may be in its log.
            found.unerased |= crashed
            self._free_zeroed = not crashed
            self._keep_reserve()
            return found
        except (sqlite3.DatabaseError, ValueError) as error:
            self.close()
            if isinstance(error, sqlite3.DatabaseError) and not schema.is_damage(error):
                raise
            raise schema.corrupt(self._path, str(error)) from error
        except BaseException:
            self.close()
            raise
        finally:
            # Not the last one to be closed, the writing connection leaves the log as it is.
            if guard is not None:
                guard.close()

    def commit(self, batch: Batch) -> None:
        """Make a sealed batch durable, whole or not at all."""
        connection = self._connection or self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            size = apply(connection, batch)
            connection.execute("COMMIT")
            self._log_bytes += size + _COMMIT_OVERHEAD
            if self._log_bytes >= self._log_limit:
                self._checkpoint(connection, "PASSIVE")
                self._keep_reserve()
        except BaseException:
            self._failed = True
            self._drop()
            raise

    def delete(self, plan: Plan) -> None:
        """Delete streams in a transaction of their own, in the reserve where there is no room.

        Durable on return. What raises has deleted nothing.
        """
        if not self._failed:
            try:
                self._delete(self._connection or self._connect(), plan)
            except (sqlite3.Error, OSError) as error:
                if not may_want_room(error):
                    raise
            else:
                return
        self._reserve.release()
        try:
            self._delete_in_place(plan)
        finally:
            self._reserve.fill()

    def _delete(self, connection: sqlite3.Connection, plan: Plan) -> list[int]:
        try:
            connection.execute("BEGIN IMMEDIATE")
            streams = delete(connection, plan)
            connection.execute("COMMIT")
            self._log_bytes += _COMMIT_OVERHEAD
        except BaseException:
            self._failed = True
            self._drop()
            raise
        return streams

    def _delete_in_place(self, plan: Plan) -> None:
        """Delete without writing the pages that become free; then make room."""
        self.reopen()
        connection = self._connection or self._connect()
        connection.execute("PRAGMA secure_delete = FAST").fetchall()
        # They are zeroed where they lie. A crash before that leaves a log behind, which tells.
        self._free_zeroed = False
        streams = self._delete(connection, plan)
        try:
            clear_journal(connection, streams)
            if self._checkpoint(connection, "PASSIVE"):
                self._zero_free()
                self._make_room()
            if self._connection is not None:
                self._connection.execute("PRAGMA secure_delete = ON").fetchall()
        except (sqlite3.Error, OSError, ValueError):
            # What was to be done is done. Whoever writes next finds out how the disk is.
            self._failed = True
            self._drop()

    def _make_room(self) -> None:
        """Give free pages back to the file system, in steps that have room in the log."""
        connection = self._connect()
        page_size = _pragma(connection, "page_size")
        clear = self._checkpoint(connection, "TRUNCATE")
        spare = _pragma(connection, "freelist_count")
        while clear and spare and (free := self._reserve.free()) < _ROOM:
            # A page that moves is written, and so are those that point to it.
            step = max(1, min(spare, free // page_size // 4))
            connection.executescript(f"PRAGMA incremental_vacuum({step})")
            clear = self._checkpoint(connection, "TRUNCATE")
            before, spare = spare, _pragma(connection, "freelist_count")
            if spare >= before:
                return

    def _keep_reserve(self) -> None:
        self._reserve.fill()
        self._log_limit = self._reserve.log_limit(_CHECKPOINT_BYTES)

    def find_refused(self, batch: Batch, streams: Mapping[int, str]) -> Refused:
        """Which changes of a batch cannot be written, though the medium is well.

        ``streams`` is as for ``Batch.part``. Everything is tried and rolled back. Raises what is
        raised where nothing at all can be committed, and any error of the medium.
        """
        connection = self._connection or self._connect()
        try:
            failure = attempt(connection, batch.part((), streams))
            if failure is not None:
                raise failure
            units = [unit for unit in dict.fromkeys(batch.owners) if unit]
            fitting = find_fitting(
                units, lambda some: attempt(connection, batch.part(set(some), streams)) is None
            )
            refused = set(units).difference(fitting)
            return {unit: find_stream(connection, unit) for unit in refused}
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
        self._changed = None
        connection = self._connect()
        try:
            try:
                self._checkpoint(connection, "TRUNCATE")
            except sqlite3.OperationalError as error:
                if schema.primary_code(error) != sqlite3.SQLITE_FULL:
                    raise
            row = newest_row(connection)
        except BaseException:
            self._drop()
            raise
        self._failed = False
        return row

    def erase(self) -> tuple[bool, bool]:
        """Clear the log, scrub the pages that changed, give back a step's worth of free ones.

        Returns whether nothing is left of what was deleted (a reader may be in the way), and
        whether more pages are to be given back.
        """
        connection = self._connection or self._connect()
        try:
            spare = _pragma(connection, "freelist_count") - _SPARE_PAGES
            if spare > 0:
                # A script, since `execute` would stop after the first page that it gives back.
                step = min(spare, _VACUUM_PAGES)
                connection.executescript(f"PRAGMA incremental_vacuum({step})")
            clear = self._checkpoint(connection, "TRUNCATE")
            if clear:
                self._scrub()
                if not self._free_zeroed and spare <= _VACUUM_PAGES:
                    self._zero_free()
        except BaseException:
            self._drop()
            raise
        return clear, spare > _VACUUM_PAGES

    def _checkpoint(self, connection: sqlite3.Connection, mode: str) -> bool:
        """Copy the log into the file; whether the file has all of it now."""
        if self._changed is not None:
            with suppress(FileNotFoundError), schema.log_of(self._path).open("rb") as log:
                self._changed |= pages_in_log(log, _pragma(connection, "page_size"))
        row = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        busy, pages, copied = row
        self._log_bytes = 0
        return not busy and pages == copied

    def _scrub(self) -> None:
        # Its cached pages are as they were before the scrubbing: it must not write those.
        self._drop()
        if self._file is None:
            return
        scrub(self._file, self._changed)
        os.fsync(self._file.fileno())
        self._changed = set()

    def _zero_free(self) -> None:
        """Zero the pages that hold nothing. The file has all that the log has."""
        # As for scrubbing, whose reasons these are, too.
        self._drop()
        if self._file is None:
            return
        scrub_free(self._file)
        os.fsync(self._file.fileno())
        self._free_zeroed = True

    def close(self) -> None:
        """Close; as the last connection in good order this also empties and removes the log."""
        self._drop()
        if not self._free_zeroed and not schema.has_log(self._path):
            with suppress(OSError):
                self._zero_free()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _check(self) -> sqlite3.Connection | None:
        """Judge the file; returns the connection that did, which cannot write. None: no file."""
        if not self._path.exists() or self._path.stat().st_size == 0:
            return None
        connection = self._connector(self._path.absolute().as_uri() + "?mode=ro")
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            schema.check(connection, self._path, self._migrations)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if not version:
                return connection  # killed in its very first start, before there were tables
            # Recovery will read the journal again; here nothing has been written to yet.
            plain = "plain" if version >= schema.SINCE_PLAIN else "0"
            for blob in connection.execute(f"SELECT crc, {plain}, data FROM journal"):  # noqa: S608
                unseal(*blob)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = self._connector(self._path.absolute().as_uri() + "?mode=rw")
        self._connection = connection
        try:
            # SQLite writes the file's header for it, each time that it is said.
            if _pragma(connection, "auto_vacuum") != _INCREMENTAL:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL").fetchall()
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


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
