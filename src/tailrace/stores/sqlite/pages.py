"""The half of a listing that is on disk, in SQL: closed streams only.

How a page is found is as in ``stream_index``: by an index that has just its streams in just its
order, or by name where they are few, or by looking through a bounded number. What a folder amounts
to is kept by triggers (``sqlite_schema``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Set
from typing import Any, Final

from tailrace.model import StreamInfo
from tailrace.stores.sqlite.listing import Page, Query
from tailrace.stores.sqlite.rows import SELECT_STREAM, info_from_row
from tailrace.stores.stream_index import LOOK, Totals, folder_of, is_folder

# As the partial indexes have it, and in their words.
_LISTED: Final = "closed_in IS NOT NULL AND NOT deleted"
# Which of them a listing is made of: ``Query.row``.
_SHOWN: Final = f"{_LISTED} AND closed_in <= ?"
_OF_PREFIX: Final = "name >= ? AND name < ?"
_COUNT: Final = (
    f"SELECT count(*), ifnull(sum({_SHOWN}), 0),"  # noqa: S608 - constants
    f" ifnull(sum(iif({_SHOWN}, size, 0)), 0) FROM"
    " (SELECT closed_in, deleted, size FROM streams INDEXED BY streams_by_name"
    f" WHERE {_OF_PREFIX} LIMIT ?)"
)
# The greatest code point: no name that continues a prefix sorts after it.
_LAST: Final = "\U0010ffff"


def page_of(connection: sqlite3.Connection, query: Query) -> Page:
    """What of a listing is on disk."""
    if not query.prefix or is_folder(query.prefix):
        totals: Totals | None = _kept_totals(connection, query)
        few = False
    else:
        totals = _counted(connection, query)
        few = totals is not None
    if query.due is not None:
        return Page(_due(connection, query, query.due), totals)
    if query.oldest_closed:
        return Page(_longest_closed(connection, query), totals)
    if few:
        return Page(_by_name(connection, query), totals)
    if totals is not None:
        return Page(_first(_newest(connection, query), query), totals)
    return _looked_through(connection, query)


# --- newest first -----------------------------------------------------------------------------


def _newest(connection: sqlite3.Connection, query: Query) -> sqlite3.Cursor:
    """The rows of the prefix's folder, or all."""
    folder, before = folder_of(query.prefix), query.before or _LAST
    if not folder:
        return connection.execute(
            f"{SELECT_STREAM} INDEXED BY streams_newest WHERE generation < ? AND {_SHOWN}"
            " ORDER BY generation DESC",
            (before, query.row),
        )
    return connection.execute(
        f"{SELECT_STREAM} INDEXED BY streams_newest_in_folder"
        f" WHERE folder = ? AND generation < ? AND {_SHOWN} ORDER BY generation DESC",
        (folder, before, query.row),
    )


def _by_name(connection: sqlite3.Connection, query: Query) -> list[StreamInfo]:
    rows = connection.execute(
        f"{SELECT_STREAM} INDEXED BY streams_by_name WHERE {_OF_PREFIX} AND {_SHOWN}"
        " AND generation < ? ORDER BY generation DESC",
        (*_range(query), query.row, query.before or _LAST),
    )
    return _first(rows, query)


def _looked_through(connection: sqlite3.Connection, query: Query) -> Page:
    found: list[StreamInfo] = []
    last, looked = "", 0
    for row in _newest(connection, query):
        if len(found) == query.limit:
            break
        if looked == LOOK:
            return Page(found, None, last)
        last, looked = row[2], looked + 1
        if row[1].startswith(query.prefix) and last not in query.hidden:
            found.append(info_from_row(row))
    return Page(found, None)


# --- by time ----------------------------------------------------------------------------------


def _longest_closed(connection: sqlite3.Connection, query: Query) -> list[StreamInfo]:
    """Quick for a folder; for any other prefix all of its folder, or all there are, are sorted."""
    folder = folder_of(query.prefix)
    within = "INDEXED BY streams_by_ending WHERE folder = ? AND" if folder else "WHERE"
    rows = connection.execute(
        f"{SELECT_STREAM} {within} {_SHOWN} AND {_OF_PREFIX} AND generation < ?"
        " ORDER BY ending_time, generation",
        (*([folder] if folder else []), query.row, *_range(query), query.before or _LAST),
    )
    return _first(rows, query)


def _due(connection: sqlite3.Connection, query: Query, now: int) -> list[StreamInfo]:
    """What is due by the file's deadlines, and what is by later word."""
    shown = f"{_SHOWN} AND {_OF_PREFIX} AND generation < ?"
    values = (query.row, *_range(query), query.before or _LAST)
    rows = connection.execute(
        f"{SELECT_STREAM} INDEXED BY streams_due WHERE deadline <= ? AND {shown}"
        " ORDER BY deadline, generation",
        (now, *values),
    )
    found = _first(rows, query, query.hidden | query.renewals.keys())
    due = [generation for generation, at in query.renewals.items() if at <= now]
    for generation in set(due) - query.hidden:
        row = connection.execute(
            f"{SELECT_STREAM} WHERE generation = ? AND {shown}", (generation, *values)
        )
        found += [info_from_row(each) for each in row]
    return found


# --- totals -----------------------------------------------------------------------------------


def _kept_totals(connection: sqlite3.Connection, query: Query) -> Totals:
    """Of a folder, or of all, from what is kept of it."""
    row = connection.execute(
        "SELECT streams, bytes FROM totals WHERE folder = ?", (query.prefix or "/",)
    ).fetchone()
    count, size = row or (0, 0)
    # It counts what closed since the listing began.
    later = connection.execute(
        "SELECT count(*), ifnull(sum(size), 0)"  # noqa: S608 - constants
        " FROM streams INDEXED BY streams_by_row"
        f" WHERE closed_in > ? AND {_LISTED} AND {_OF_PREFIX}",
        (query.row, *_range(query)),
    ).fetchone()
    return _without_hidden(connection, query, count - later[0], size - later[1])


def _counted(connection: sqlite3.Connection, query: Query) -> Totals | None:
    """Of few names; None where they are more than LOOK."""
    values = (query.row, query.row, *_range(query), LOOK + 1)
    names, count, size = connection.execute(_COUNT, values).fetchone()
    return None if names > LOOK else _without_hidden(connection, query, count, size)


def _without_hidden(connection: sqlite3.Connection, query: Query, count: int, size: int) -> Totals:
    for generation in query.hidden:
        hidden = connection.execute(
            f"SELECT size FROM streams WHERE generation = ? AND {_SHOWN} AND {_OF_PREFIX}",  # noqa: S608
            (generation, query.row, *_range(query)),
        ).fetchone()
        if hidden is not None:
            count, size = count - 1, size - hidden[0]
    return Totals(count, size)


# --- rows -------------------------------------------------------------------------------------


def _range(query: Query) -> tuple[str, str]:
    return query.prefix, query.prefix + _LAST


def _first(rows: Iterable[Any], query: Query, hidden: Set[str] | None = None) -> list[StreamInfo]:
    """As many as the page may have, of those that are not hidden."""
    hidden = query.hidden if hidden is None else hidden
    found: list[StreamInfo] = []
    for row in rows:
        if len(found) >= query.limit:
            break
        if row[2] not in hidden:
            found.append(info_from_row(row))
    return found
