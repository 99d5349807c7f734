"""A page of the SQLite store's listing: what is in memory and what is on disk, as one. Sans-I/O.

Streams in memory are open, or closed so lately that they are not wholly in segments; all others
are on disk only. Each half gives as many as the page may have.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Set
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from tailrace.contracts import Listing
from tailrace.model import StreamInfo
from tailrace.stores.sqlite.unsegmented import Tail
from tailrace.stores.stream_index import StreamIndex, Totals

_generation = attrgetter("generation")


class Page(NamedTuple):
    """One half of a page."""

    streams: list[StreamInfo]
    totals: Totals | None
    """Of this half; None: unknown."""
    looked_to: str = ""
    """As in ``Listing``."""


class Query(NamedTuple):
    """A listing's parameters, and the moment that it shows."""

    prefix: str
    before: str
    limit: int
    oldest_closed: bool
    row: int
    """The last durable journal row as the listing began; what closed later is not in it."""
    hidden: Set[str]
    """Generations that the half on disk leaves out: deleted, or known better in memory."""
    due: int | None = None
    renewals: Mapping[str, int] = MappingProxyType({})
    """For ``due``: deadlines that are later word than the file's, by generation."""


def in_memory(listed: StreamIndex[Tail], query: Query) -> Page:
    """The half that is in memory."""
    prefix, before, limit = query.prefix, query.before, query.limit
    if query.due is not None:
        found = listed.due(prefix, before, limit, query.due)
    elif query.oldest_closed:
        found = listed.longest_closed(prefix, before, limit)
    else:
        page = listed.newest(prefix, before, limit)
        return Page([tail.info for tail in page.streams], page.totals, page.looked_to)
    return Page([tail.info for tail in found], listed.totals(prefix))


def merged(
    known: Page, page: Page, query: Query, applied: Callable[[StreamInfo], StreamInfo]
) -> Listing:
    """Both halves; ``applied`` gives what a stream of the half on disk has become since."""
    streams = known.streams + [applied(info) for info in page.streams]
    if query.due is not None:
        streams = heapq.nsmallest(query.limit, streams, key=_deadline)
    elif query.oldest_closed:
        streams = heapq.nsmallest(query.limit, streams, key=_closed_since)
    else:
        streams = heapq.nlargest(query.limit, streams, key=_generation)
    # Where one half looked no further, what the other has beyond is for the next page.
    looked_to = max(known.looked_to, page.looked_to)
    streams = [info for info in streams if info.generation >= looked_to] if looked_to else streams
    if len(streams) == query.limit:
        looked_to = ""
    if known.totals is None or page.totals is None:
        return Listing(streams, None, None, looked_to)
    count, size = known.totals
    return Listing(streams, page.totals.streams + count, page.totals.bytes + size, looked_to)


def _deadline(info: StreamInfo) -> tuple[int, str]:
    return info.deadline or 0, info.generation


def _closed_since(info: StreamInfo) -> tuple[int, str]:
    time = info.ending.time if info.ending is not None else 0
    return time, info.generation
