"""Which streams a page of the SQLite store's listing shows, of those that are given. Sans-I/O."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from operator import attrgetter
from typing import TypeVar

from tailrace.model import StreamInfo
from tailrace.stores.tails import Tail

_generation = attrgetter("generation")
_Listed = TypeVar("_Listed", Tail, StreamInfo)


def newest(streams: Iterable[_Listed], limit: int) -> list[_Listed]:
    return heapq.nlargest(limit, streams, key=_generation)


def longest_closed(streams: Iterable[_Listed], limit: int) -> list[_Listed]:
    return heapq.nsmallest(limit, streams, key=_closed_since)


def first_due(streams: Iterable[_Listed], limit: int) -> list[_Listed]:
    return heapq.nsmallest(limit, streams, key=_deadline)


def _deadline(stream: Tail | StreamInfo) -> tuple[int, str]:
    return stream.deadline or 0, stream.generation


def is_due(deadline: int | None, now: int) -> bool:
    return deadline is not None and deadline <= now


def _closed_since(stream: Tail | StreamInfo) -> tuple[int, str]:
    time = stream.ending.time if stream.ending is not None else 0
    return time, stream.generation
