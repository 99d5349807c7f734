"""A chat, or a text completion, as the model's own API streams it, for official SDKs.

Nothing here may be new to them: no ids, no types of ours, no ``[DONE]`` that the upstream did
not send. openai-python raises JSONDecodeError on a block without data once it has seen an id,
and on a lone ``retry`` or ``event``; so a heartbeat is a comment line without the blank line,
and a farewell is an error, which every SDK surfaces. A stream that merely stops, none does. An
error of the upstream's, which need not be one that SDKs understand, is followed by ours; they
raise at the first (docs/adr/0004).
"""

# ruff: noqa: ARG002 - a contract's methods are given what some views need and others don't.
from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from tailrace.contracts import LAST_PART, Closing, Part
from tailrace.model import DATA, Ending, EndingKind, Event
from tailrace.views.parts import block_part
from tailrace.views.words import FAREWELL, words_for
from tailrace.wire.sse import encode_comment, encode_data


class OpenaiView:
    """Each ``data`` event byte for byte in a block of its own; other events do not show."""

    name: Final = "openai"
    eventwise: Final = True
    media_type: Final = b"text/event-stream"
    heartbeat: Final = encode_comment("ping")

    def whole(self, events: Sequence[Event], *, fewest: bool, last: bool) -> int:
        return 1 if fewest else len(events)

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        # A list, not a generator: it is one frame less, and most have one entry.
        return b"".join([_block(event.data) for event in events if event.type == DATA])

    def part(self, generation: str, event: Event, place: int) -> Part | None:
        if event.type != DATA:
            return b"", LAST_PART
        return block_part(b"", event.data, place)

    def end(self, generation: str, ending: Ending) -> Closing:
        """``[DONE]`` for a whole answer, else an error. Either way nothing is left to come."""
        if ending.whole:
            return Closing(_block(b"[DONE]"), whole=True)
        return Closing(_error(ending.kind, words_for(ending)), whole=True)

    def farewell(self, retry: int) -> Closing:
        """An error, for SDKs do not reconnect and would take the end for the answer's."""
        return Closing(_error(EndingKind.INTERRUPTED, FAREWELL), whole=False)


def _block(data: bytes) -> bytes:
    return encode_data(data) + b"\n"


def _error(kind: EndingKind, message: str) -> bytes:
    """A block in the shape of OpenAI's errors."""
    error = {"message": message, "type": f"stream_{kind}", "code": kind, "param": None}
    return _block(json.dumps({"error": error}, separators=(",", ":")).encode())
