"""The rest of an answer that broke off: what to ask for it, and what it is to look like."""

from __future__ import annotations

from typing import Final, NamedTuple

from tailrace.chat.relay.relay_request import Continued
from tailrace.errors import TailraceError
from tailrace.log.reading import data_of
from tailrace.log.stream import Stream
from tailrace.wire.json.json_edit import JsonObject
from tailrace.wire.llm.continuation import Rest

# Bytes of an answer's events beyond which nobody goes on with it: some 40 000 tokens, which would
# all be read by another model, and are read here in short turns beforehand.
LONGEST: Final = 8 * 1024 * 1024


class Continuation(NamedTuple):
    """How an answer may go on."""

    body: JsonObject
    """The request."""
    rest: Rest
    """Makes chunks of the first answer of what comes."""


async def continuation_of(stream: Stream, continued: Continued) -> Continuation | None:
    """None where nobody can go on with it."""
    if stream.info.size > LONGEST:
        return None
    continuing = continued()
    try:
        async for data in data_of(stream):
            if not continuing.add(data):
                return None
    except TailraceError:  # deleted, or the store is at fault: it ends as it broke off
        return None
    body, first = continuing.request(), continuing.first
    return None if body is None or first is None else Continuation(body, Rest(first))
