"""The SQLite store's schema, and what is checked before a file is taken for a store.

`aliases`    the further names of streams, deleted ones excepted
`producers`  how far each idempotent producer has come, in step with the journal
`journal`    one row per commit: the events of that commit, in the order in which they arrived
`segments`   the events of one stream laid together; see ``segments``, and ``journal`` for what
             `crc`, `plain` and `data` are
`totals`     what the closed streams of a folder, the first segment of their names, amount to, and
             in the row ``/`` those of all; triggers keep it
`streams`    one row per stream. An open stream's `last_seq` and `size` count what is in its
             segments; the journal has the rest. `closed_in` is the journal row in which the
             stream closed: a listing that began after row N ignores what closed later than N.

The schema grows by migrations, a list that is only ever appended to; ``PRAGMA user_version``
counts those that a file has seen. Each runs in a transaction of its own.

Nothing is written before everything was checked, and the checks use a read-only connection,
so that a file of a newer version or a damaged one stays as it is, its write-ahead log too.
"""

from __future__ import annotations

import logging
import mmap
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from tailrace.errors import ConfigError, StartupError, StoreCorrupt, StoreLocked, StoreTooNew
from tailrace.stores.sqlite.wal import judge

logger = logging.getLogger(__name__)

Migration: TypeAlias = Sequence[str]
"""The statements of one step."""

# "Tail" in ASCII. It tells a store of ours from any other SQLite file before we write to it.
APPLICATION_ID: Final = 0x5461696C
_MAGIC: Final = b"SQLite format 3\0"

# Which rows a listing may show, and their totals count. Queries repeat it in these words.
_LISTED: Final = "closed_in IS NOT NULL AND NOT deleted"


def _listed(row: str) -> str:
    """The same in a trigger, of its row OLD or NEW."""
    return f"{row}.closed_in IS NOT NULL AND NOT {row}.deleted"


# What a folder was called goes with the last of its streams: names are private, too.
_UNCOUNT: Final = """
    UPDATE totals SET streams = streams - 1, bytes = bytes - OLD.size
        WHERE folder IN ('/', OLD.folder);
    DELETE FROM totals WHERE folder = OLD.folder AND streams = 0;
"""

MIGRATIONS: Final[tuple[Migration, ...]] = (
    (
        """
        CREATE TABLE streams (
            id           INTEGER PRIMARY KEY,
            generation   TEXT NOT NULL UNIQUE,
            name         TEXT NOT NULL,
            content_type TEXT NOT NULL,
            source       TEXT NOT NULL,
            created      INTEGER NOT NULL,
            last_seq     INTEGER NOT NULL,
            size         INTEGER NOT NULL,
            ending       TEXT,
            reason       TEXT,
            ending_seq   INTEGER,
            ending_time  INTEGER,
            closed_in    INTEGER
        ) STRICT
        """,
        # Finds a name, and adds up a prefix without touching the table.
        "CREATE INDEX streams_by_name ON streams (name, closed_in, size)",
        # Partial, so that each costs what it serves: recovery and retention.
        "CREATE INDEX streams_open ON streams (id) WHERE closed_in IS NULL",
        """
        CREATE INDEX streams_by_ending ON streams (ending_time, generation)
            WHERE closed_in IS NOT NULL
        """,
        "CREATE TABLE journal (id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, data BLOB) STRICT",
        # A rowid table with an index: rows of 256 KiB inside the index's own tree would make
        # every descent read them.
        """
        CREATE TABLE segments (
            id       INTEGER PRIMARY KEY,
            stream   INTEGER NOT NULL,
            last_seq INTEGER NOT NULL,
            crc      INTEGER NOT NULL,
            data     BLOB NOT NULL
        ) STRICT
        """,
        "CREATE UNIQUE INDEX segments_by_place ON segments (stream, last_seq)",
    ),
    (
        "ALTER TABLE streams ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE streams ADD COLUMN ttl INTEGER",
        "ALTER TABLE streams ADD COLUMN expires_at INTEGER",
        "ALTER TABLE streams ADD COLUMN deadline INTEGER",
        # Offsets as clients see them, separated by spaces.
        "ALTER TABLE streams ADD COLUMN ancestry TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE streams ADD COLUMN forked_from TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE streams ADD COLUMN sub_offset INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE streams ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE streams ADD COLUMN writer_seq TEXT NOT NULL DEFAULT ''",
        "DROP INDEX streams_by_name",
        "CREATE INDEX streams_by_name ON streams (name, closed_in, size, deleted)",
        "CREATE INDEX streams_due ON streams (deadline, generation) WHERE deadline IS NOT NULL",
        "CREATE INDEX streams_forked ON streams (id) WHERE ancestry <> '' OR deleted",
        """
        CREATE TABLE producers (
            stream INTEGER NOT NULL,
            id     TEXT NOT NULL,
            epoch  INTEGER NOT NULL,
            seq    INTEGER NOT NULL,
            closed INTEGER NOT NULL,
            PRIMARY KEY (stream, id)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        "ALTER TABLE journal ADD COLUMN plain INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE segments ADD COLUMN plain INTEGER NOT NULL DEFAULT 0",
    ),
    (
        "ALTER TABLE streams ADD COLUMN note BLOB NOT NULL DEFAULT x''",
        """
        CREATE TABLE aliases (
            name   TEXT PRIMARY KEY,
            stream INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        # Finds what goes with a stream.
        "CREATE INDEX aliases_by_stream ON aliases (stream)",
    ),
    (
        # The first segment of the name, with its slash; empty where it has only one.
        """
        ALTER TABLE streams ADD COLUMN folder TEXT
            GENERATED ALWAYS AS (substr(name, 1, instr(name, '/'))) VIRTUAL
        """,
        # One for each order in which listings go: a page reads its own rows and no others.
        f"CREATE INDEX streams_newest ON streams (generation) WHERE {_LISTED}",
        f"CREATE INDEX streams_newest_in_folder ON streams (folder, generation) WHERE {_LISTED}",
        "DROP INDEX streams_by_ending",
        f"""
        CREATE INDEX streams_by_ending ON streams (folder, ending_time, generation)
            WHERE {_LISTED}
        """,
        f"CREATE INDEX streams_by_row ON streams (closed_in) WHERE {_LISTED}",
        """
        CREATE TABLE totals (
            folder  TEXT PRIMARY KEY,
            streams INTEGER NOT NULL,
            bytes   INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        "INSERT INTO totals SELECT folder, count(*), sum(size) FROM streams"  # noqa: S608
        f" WHERE {_LISTED} GROUP BY folder",
        # No name, and so no folder, begins with a slash.
        "INSERT INTO totals SELECT '/', ifnull(sum(streams), 0), ifnull(sum(bytes), 0) FROM totals",
        f"""
        CREATE TRIGGER streams_listed AFTER UPDATE OF closed_in, deleted ON streams
            WHEN {_listed("NEW")} AND NOT ({_listed("OLD")})
        BEGIN
            INSERT INTO totals VALUES ('/', 1, NEW.size), (NEW.folder, 1, NEW.size)
                ON CONFLICT DO UPDATE
                SET streams = streams + 1, bytes = bytes + excluded.bytes;
        END
        """,  # noqa: S608 - constants
        f"""
        CREATE TRIGGER streams_hidden AFTER UPDATE OF closed_in, deleted ON streams
            WHEN {_listed("OLD")} AND NOT ({_listed("NEW")})
        BEGIN {_UNCOUNT} END
        """,
        f"""
        CREATE TRIGGER streams_deleted AFTER DELETE ON streams WHEN {_listed("OLD")}
        BEGIN {_UNCOUNT} END
        """,
    ),
    (
        "ALTER TABLE streams ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
        # NULL in a row from before there were codes.
        "ALTER TABLE streams ADD COLUMN ending_code TEXT",
    ),
)

SINCE_PLAIN: Final = 3
"""The version from which on blobs may be compressed: the column ``plain``."""

# A whole check reads the whole file, at some 500 MB/s from a cold disk: it may cost a start
# 30 ms as a rule, and half a second after a crash. Beyond that it would keep the server from
# coming back; damage is then found where it is read (checksums, SQLite's own consistency
# checks), and is an error of that read only.
#
# Up to the first of the two, indexes are compared with their tables as well: only that finds a
# page that is sound in itself and stands in the wrong place. It takes four times as long, 80 ms.
CHECK_BYTES_CLEAN: Final = 16 * 1024 * 1024
CHECK_BYTES_CRASHED: Final = 256 * 1024 * 1024

# SQLite's primary result codes for a file that is not what it should be.
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def primary_code(error: BaseException) -> int:
    """The low byte of SQLite's result code, which names the kind; 0 if there is none."""
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    return code & 0xFF


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file itself is broken."""
    return primary_code(error) in _DAMAGE


def check_header(path: Path) -> None:
    """Raise StoreCorrupt if there is a file that SQLite could not have written."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise corrupt(path, "it is no SQLite database")


def check_log(path: Path, *, synced: bool) -> None:
    """Raise StoreCorrupt where the log has commits that SQLite would not read.

    ``synced``: each commit was synced before the next began, so a crash cuts short the last one
    at most. Otherwise a power cut may leave any of the last ones out, which is logged.
    """
    log = log_of(path)
    if not has_log(path):
        return
    with log.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        verdict = judge(mapped)
    if verdict.commits and (not path.exists() or path.stat().st_size == 0):
        raise StoreCorrupt(
            f"The store {path} is empty, and its log {log} is not; both were left as they are. "
            "Put back the file that belongs to the log, or move the log away to start empty."
        )
    if verdict.damaged and synced:
        raise StoreCorrupt(
            f"The store {path} has a log {log} that is damaged after {verdict.valid} bytes, before "
            "later commits; both were left as they are. Restore both from a backup; or copy both "
            f"and cut the log to {verdict.valid} bytes (truncate -s) to go on without what follows."
        )
    if verdict.damaged:
        logger.error(
            "The log %s cannot be read beyond %d bytes: what was committed after that is lost, as "
            "a power cut may do with durability=process.",
            log,
            verdict.valid,
        )


def check(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """Raise StoreTooNew or StoreCorrupt unless this file can be used or migrated."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (tables or version):
        raise corrupt(path, "it is a SQLite database, but none of ours")
    if version > len(migrations):
        raise StoreTooNew(
            f"The store {path} has schema {version}; this version knows {len(migrations)}. "
            "Run a newer version, or name another store."
        )
    size = path.stat().st_size
    pragma = "integrity_check" if size <= CHECK_BYTES_CLEAN else "quick_check"
    limit = CHECK_BYTES_CRASHED if has_log(path) else CHECK_BYTES_CLEAN
    if size <= limit:
        (verdict,) = connection.execute(f"PRAGMA {pragma}(1)").fetchone()
        if verdict != "ok":
            raise corrupt(path, str(verdict))


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a checked file to the newest schema, step by step."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, statements in enumerate(migrations[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def cannot_open(path: Path, error: Exception) -> StartupError:
    """Make the error for a file that cannot be used at all."""
    if primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreLocked(f"The store {path} is locked by another program; close that one.")
    return ConfigError(f"The store {path} cannot be opened: {error}.")


def corrupt(path: Path, how: str) -> StoreCorrupt:
    """The error for a damaged file."""
    return StoreCorrupt(
        f"The store {path} is damaged ({' '.join(how.split())}); it was left as it is. "
        "Restore it from a backup, or move it away to start with an empty one."
    )


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log beside a file."""
    return path.with_name(path.name + "-wal")


def has_log(path: Path) -> bool:
    """Whether the process that had this file open before did not close it in good order.

    Whoever closes the last connection removes the log, so a log with content is what a crash
    leaves behind: the file system keeps the flag for us.
    """
    log = log_of(path)
    return log.exists() and log.stat().st_size > 0
