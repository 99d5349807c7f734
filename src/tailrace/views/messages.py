"""An answer of Anthropic's Messages API as that API streams it, for official SDKs.

Their decoders go by ``event:``. The API's own sign of life is an event, so the heartbeat is, too.
The last event of a whole answer is the upstream's own, and so is an upstream's error.
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
from tailrace.wire.sse import encode_event


class MessagesView:
    """Each ``data`` event in a block that names its type; other events do not show."""

    name: Final = "messages"
    eventwise: Final = True
    media_type: Final = b"text/event-stream"
    heartbeat: Final = encode_event(b'{"type": "ping"}', event="ping")

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
        return Closing(_error(ending.kind, words_for(ending)), whole=True)

    def farewell(self, retry: int) -> Closing:
        """An error, for SDKs do not reconnect and would take the end for the answer's."""
        return Closing(_error(EndingKind.INTERRUPTED, FAREWELL), whole=False)


def _error(kind: EndingKind, message: str) -> bytes:
    """An event in the shape of Anthropic's errors, of which only its own types are known.

    What our server could not go on with, it can another time: ``overloaded_error``.
    """
    name = "overloaded_error" if kind is EndingKind.INTERRUPTED else "api_error"
    event = {"type": "error", "error": {"type": name, "message": message}}
    return encode_block(json.dumps(event, separators=(",", ":")).encode())
