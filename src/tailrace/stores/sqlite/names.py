"""Further names in a SQLite store's file: what the writer does with those of a batch.

A batch says who takes a name without knowing whether there is such a stream: of one that has
closed, only the file knows.
"""

from __future__ import annotations

import sqlite3

from tailrace.stores.sqlite.batch import Batch


def decide_takers(connection: sqlite3.Connection, batch: Batch) -> dict[str, str]:
    """Whose each name becomes that the batch gives away; empty: nobody's any more.

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
