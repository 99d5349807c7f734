"""What one transaction of the SQLite store writes: a batch, or the part of one that is tried."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from tailrace.model import StreamInfo
from tailrace.stores.forks import Plan
from tailrace.stores.sqlite.batch import Batch, Move
from tailrace.stores.sqlite.failures import is_of_medium
from tailrace.stores.sqlite.journal import decode, seal, unseal
from tailrace.stores.sqlite.segments import cut


def apply(connection: sqlite3.Connection, batch: Batch) -> int:
    """Make the batch's changes; return how many bytes of events were written."""
    takers = decide_takers(connection, batch)
    for generation in batch.deletes:
        _delete(connection, generation)
    connection.executemany(
        "INSERT INTO streams (id, generation, name, content_type, source, created, last_seq,"
        " size, ttl, expires_at, deadline, ancestry, forked_from, sub_offset, note, owner)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_row_of(stream, info) for stream, info in batch.creates.values()],
    )
    connection.executemany(
        "UPDATE streams SET last_seq = ?, size = ?, ending = ?, reason = ?, ending_seq = ?,"
        " ending_time = ?, ending_code = ?, closed_in = ? WHERE id = ?",
        [
            (
                close.last_seq,
                close.size,
                close.ending.kind.value,
                close.ending.reason,
                close.ending.seq,
                close.ending.time,
                close.ending.code.value,
                batch.row,
                close.stream,
            )
            for close in batch.closes.values()
        ],
    )
    _remember(connection, batch)
    give_names(connection, takers)
    size = sum([_move(connection, move) for move in batch.moves])
    for generation, seq in batch.trims.items():
        _trim(connection, generation, seq)
    connection.execute("DELETE FROM journal WHERE id < ?", (batch.trim,))
    blob = seal(batch.records)
    connection.execute(
        "INSERT INTO journal (id, crc, plain, data) VALUES (?, ?, ?, ?)", (batch.row, *blob)
    )
    return size + len(blob.data)


def attempt(connection: sqlite3.Connection, batch: Batch) -> Exception | None:
    """Find what keeps the batch from being written; None: nothing. Changes nothing.

    Raises errors of the medium.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        apply(connection, batch)
    except Exception as error:
        if is_of_medium(error):
            raise
        return error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return None


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
        info.ttl,
        info.expires_at,
        info.deadline,
        " ".join(map(str, info.ancestry)),
        info.forked_from,
        info.sub_offset,
        info.note,
        info.owner,
    )


def _remember(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write what is kept of streams beside their events."""
    # Only where the stream is still there: it may have been deleted ahead of the batch.
    connection.executemany(
        "INSERT OR REPLACE INTO producers (stream, id, epoch, seq, closed)"
        " SELECT id, ?, ?, ?, ? FROM streams WHERE id = ?",
        [(*producer, stream) for (stream, _), producer in batch.producers.items()],
    )
    connection.executemany(
        "UPDATE streams SET writer_seq = ? WHERE id = ?",
        [(seq, stream) for stream, seq in batch.writer_seqs.items()],
    )
    connection.executemany(
        "UPDATE streams SET deadline = ? WHERE generation = ?",
        [(deadline, generation) for generation, deadline in batch.renewals.items()],
    )
    connection.executemany(
        "UPDATE streams SET note = ? WHERE generation = ?",
        [(note, generation) for generation, note in batch.notes.items()],
    )
    for generation in batch.hidden:
        _hide(connection, generation)


def delete(connection: sqlite3.Connection, plan: Plan) -> list[int]:
    """Delete streams, and mark those that stay for their forks; the keys of what was deleted."""
    keys = [key for generation in plan.erased for key in _key(connection, generation)]
    for generation in plan.erased:
        _delete(connection, generation)
    for generation in plan.hidden:
        _hide(connection, generation)
    return keys


def clear_journal(connection: sqlite3.Connection, streams: Collection[int]) -> None:
    """Take what the journal has of these streams out of its rows, each in a transaction.

    The rows stay, also those that have nothing left: a row tells that its batch was committed.
    """
    rows = connection.execute("SELECT id FROM journal").fetchall()
    for (row,) in rows:
        blob = connection.execute(
            "SELECT crc, plain, data FROM journal WHERE id = ?", (row,)
        ).fetchone()
        records = [(stream, (event,)) for stream, event in decode(unseal(*blob))]
        kept = [record for record in records if record[0] not in streams]
        if len(kept) < len(records):
            connection.execute(
                "UPDATE journal SET crc = ?, plain = ?, data = ? WHERE id = ?", (*seal(kept), row)
            )


def _trim(connection: sqlite3.Connection, generation: str, seq: int) -> None:
    """Segments go as wholes; what remains of the last one is passed over by readers."""
    connection.execute(
        "UPDATE streams SET trimmed = max(trimmed, ?) WHERE generation = ?", (seq, generation)
    )
    connection.execute(
        "DELETE FROM segments WHERE last_seq <= ?"
        " AND stream = (SELECT id FROM streams WHERE generation = ?)",
        (seq, generation),
    )


def _hide(connection: sqlite3.Connection, generation: str) -> None:
    """Mark as deleted one that stays for its forks; what those do not need goes."""
    for found in _key(connection, generation):
        forget_names(connection, found)
        connection.execute("UPDATE streams SET deleted = 1, note = x'' WHERE id = ?", (found,))


def _delete(connection: sqlite3.Connection, generation: str) -> None:
    for found in _key(connection, generation):
        forget_names(connection, found)
        connection.execute("DELETE FROM segments WHERE stream = ?", (found,))
        connection.execute("DELETE FROM producers WHERE stream = ?", (found,))
        connection.execute("DELETE FROM streams WHERE id = ?", (found,))


def _key(connection: sqlite3.Connection, generation: str) -> list[int]:
    """The key of the stream, if it is there."""
    rows = connection.execute("SELECT id FROM streams WHERE generation = ?", (generation,))
    return [key for (key,) in rows]


def _move(connection: sqlite3.Connection, move: Move) -> int:
    size = 0
    if not connection.execute("SELECT 1 FROM streams WHERE id = ?", (move.stream,)).fetchone():
        return 0  # deleted ahead of the batch
    for events in cut(move.events):
        blob = seal([(move.stream, events)])
        connection.execute(
            "INSERT INTO segments (stream, last_seq, crc, plain, data) VALUES (?, ?, ?, ?, ?)",
            (move.stream, events[-1].seq, *blob),
        )
        size += len(blob.data)
    if not move.closed:
        connection.execute(
            "UPDATE streams SET last_seq = ?, size = ? WHERE id = ?",
            (move.last_seq, move.size, move.stream),
        )
    return size


def newest_row(connection: sqlite3.Connection) -> int:
    """The journal's newest row: which batch was the last to become durable."""
    (row,) = connection.execute("SELECT ifnull(max(id), 0) FROM journal").fetchone()
    return int(row)


# --- aliases ----------------------------------------------------------------------------------
#
# A batch says who takes a name without knowing whether there is such a stream: of one that has
# closed, only the file knows.


def decide_takers(connection: sqlite3.Connection, batch: Batch) -> dict[str, str]:
    """Return who gets each alias that the batch gives away; empty: nobody has it any more.

    Asked before the batch deletes anything: who takes a name and is deleted has taken it.
    """
    gone = batch.deletes | batch.hidden
    decided: dict[str, str] = {}
    for name, takers in batch.aliases.items():
        for taker in reversed(takers):
            if not taker or taker in batch.creates or _is_there(connection, taker):
                decided[name] = "" if taker in gone else taker
                break
    return decided


def give_names(connection: sqlite3.Connection, decided: dict[str, str]) -> None:
    """Write what was decided; the streams that the batch makes are there by now."""
    connection.executemany(
        "DELETE FROM aliases WHERE name = ?",
        [(name,) for name, taker in decided.items() if not taker],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO aliases (name, stream)"
        " SELECT ?, id FROM streams WHERE generation = ?",
        [(name, taker) for name, taker in decided.items() if taker],
    )


def forget_names(connection: sqlite3.Connection, stream: int) -> None:
    """The stream is deleted."""
    connection.execute("DELETE FROM aliases WHERE stream = ?", (stream,))


def _is_there(connection: sqlite3.Connection, generation: str) -> bool:
    found = connection.execute("SELECT 1 FROM streams WHERE generation = ?", (generation,))
    return found.fetchone() is not None
