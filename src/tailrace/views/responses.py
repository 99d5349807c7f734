"""An answer of the Responses API as that API streams it, for official SDKs.

What is said of the heartbeat in `tailrace.views.openai` holds here, too. The last event of a
whole answer is the upstream's own, and so is that of one that failed there: a ``response.failed``
is an answer to SDKs, not an exception, and would become one if an error of ours followed.
"""

# ruff: noqa: ARG002 - a contract's methods are given what some views need and others don't.
from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from tailrace.contracts import LAST_PART, Closing, Part
from tailrace.model import DATA, Ending, EndingKind, Event
from tailrace.views.parts import block_part
from tailrace.views.words import FAREWELL, is_said, words_for
from tailrace.wire.llm.typed import block_head, encode_block
from tailrace.wire.sse import encode_comment


class ResponsesView:
    """Each ``data`` event in a block that names its type; other events do not show."""

    name: Final = "responses"
    eventwise: Final = True
    media_type: Final = b"text/event-stream"
    heartbeat: Final = encode_comment("ping")

    def whole(self, events: Sequence[Event], *, fewest: bool, last: bool) -> int:
        return 1 if fewest else len(events)

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        return b"".join([encode_block(event.data) for event in events if event.type == DATA])

    def part(self, generation: str, event: Event, place: int) -> Part | None:
        if event.type != DATA:
            return b"", LAST_PART
        return block_part(block_head(event.data) if not place else b"", event.data, place)

    def end(self, generation: str, ending: Ending) -> Closing:
        """An ``error`` event, unless the upstream has said the end. Nothing is left to come."""
        if is_said(ending):
            return Closing(b"", whole=True)
        # The first event's number is 0, so this would be the next.
        return Closing(_error(ending.kind, words_for(ending), ending.seq - 1), whole=True)

    def farewell(self, retry: int) -> Closing:
        """An error, for SDKs do not reconnect and would take the end for the answer's.

        Its number is one from which nobody misses anything who reads on after it.
        """
        return Closing(_error(EndingKind.INTERRUPTED, FAREWELL, 0), whole=False)


def _error(kind: EndingKind, message: str, number: int) -> bytes:
    """An event that is an error to everybody.

    The members beside ``error`` are those of the API's documented event. It is ``error`` by which
    openai-python and openai-node know that they have to raise, and which AI SDK reads.
    """
    words = {"code": kind, "message": message, "param": None}
    error = {"type": f"stream_{kind}", **words}
    event = {"type": "error", "error": error, **words, "sequence_number": number}
    return encode_block(json.dumps(event, separators=(",", ":")).encode())
