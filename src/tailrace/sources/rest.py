"""The rest of an answer that broke off: what to ask for it, and what it is to look like."""

from __future__ import annotations

from typing import NamedTuple

from tailrace.errors import TailraceError
from tailrace.log.reading import data_of
from tailrace.log.stream import Stream
from tailrace.sources.order import Continued
from tailrace.wire.continuation import Rest


class Continuation(NamedTuple):
    """How an answer may go on."""

    body: bytes
    """The request."""
    rest: Rest
    """Makes chunks of the first answer of what comes."""


async def continuation_of(stream: Stream, continued: Continued) -> Continuation | None:
    """None where nobody can go on with it."""
    try:
        events = [data async for data in data_of(stream)]
    except TailraceError:  # deleted, or the store is at fault: it ends as it broke off
        return None
    body = continued(events)
    return None if body is None else Continuation(body, Rest(events[0]))
