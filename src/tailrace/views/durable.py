"""The Durable Streams protocol's event stream: data frames, and a control frame after each.

Data frames are the same for all who read the same events, and carry the place that they reach
as their id, so that a plain EventSource resumes, too. Control frames are each reader's own.
The frames are written as tightly as the protocol's test suite matches them: without the space
after ``data:``.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Final

from tailrace.contracts import LAST_PART, Closing, Part
from tailrace.model import DATA, Ending, Event, Offset, format_offset
from tailrace.views.parts import base64_part, following, stop_of
from tailrace.views.text_units import joined_text, whole_text
from tailrace.wire.characters import unfinished
from tailrace.wire.durable import is_text
from tailrace.wire.media_type import is_json
from tailrace.wire.sse import (
    continue_tight_data,
    encode_comment,
    encode_head,
    encode_retry,
    encode_tight_event,
)


class DurableView:
    """``event: data`` with the data of a batch: a JSON array, text, or base64.

    Events that are no data are passed over; the next frame's id counts them.
    """

    name: Final = "durable"
    media_type: Final = b"text/event-stream"
    heartbeat: Final = encode_comment("ping") + b"\n"

    def __init__(self, content_type: str) -> None:
        self._is_text: Final = is_text(content_type)
        self.eventwise: Final = not self._is_text
        self._is_json: Final = is_json(content_type)

    def whole(self, events: Sequence[Event], *, fewest: bool, last: bool) -> int:
        if self._is_text:
            return whole_text(events, fewest=fewest, last=last)
        return 1 if fewest else len(events)

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        if all(event.type != DATA for event in events):
            return b""
        offset = format_offset(generation, events[-1].seq)
        return encode_tight_event(self._joined(events), event="data", event_id=offset)

    def part(self, generation: str, event: Event, place: int) -> Part | None:
        """None for text, as in ``SseView``."""
        seq, _, kind, data = event
        if self._is_text:
            return None
        if kind != DATA:
            return b"", LAST_PART
        head = encode_head(event_id=format_offset(generation, seq)) + b"event: data\ndata:"
        if not self._is_json:
            return base64_part(head, data, place)
        stop = stop_of(data, place)
        begins_line = place > 0 and data[place - 1] in b"\r\n"
        lines = continue_tight_data(data[place:stop], begins_line=begins_line)
        before = b"" if place else head + b"["
        behind = b"]\n\n" if stop == len(data) else b""
        return b"%b%b%b" % (before, lines, behind), following(data, stop)

    def _joined(self, events: Sequence[Event]) -> bytes:
        if self._is_text:
            return b"".join(map(_characters, joined_text(events)))
        data = [event.data for event in events if event.type == DATA]
        return b"[%b]" % b",".join(data) if self._is_json else b64encode(b"".join(data))

    def end(self, generation: str, ending: Ending) -> Closing:  # noqa: ARG002 - see View
        """Nothing more: the last control frame has said that the stream is closed."""
        return Closing(b"", whole=True)

    def farewell(self, retry: int) -> Closing:
        """No control frame, so that clients come back."""
        return Closing(encode_retry(retry), whole=False)


def _characters(event: Event) -> bytes:
    """Nothing of what is no data. A character that this event leaves unfinished stays so: what
    follows it may be in another frame."""
    if event.type != DATA:
        return b""
    data = event.data
    return data.decode("utf-8", "replace").encode() if unfinished(data) else data


class ControlMarker:
    """``event: control``, in the protocol's words (5.8), and one of ours: how the stream ended."""

    def __init__(
        self, cursor: Callable[[], str], generation: str, ending: Callable[[], Ending | None]
    ) -> None:
        """``cursor`` gives the next Stream-Cursor, ``ending`` the stream's, if it has one."""
        self._cursor = cursor
        self._generation = generation
        self._ending = ending

    def mark(self, place: Offset, *, caught_up: bool, closed: bool) -> bytes:
        """Only the last one has an id: an EventSource that comes back with it has seen all."""
        said: dict[str, str | bool] = {"streamNextOffset": str(place)}
        if not closed:
            said["streamCursor"] = self._cursor()
        if caught_up:
            said["upToDate"] = True
        ending = self._ending() if closed else None
        event_id = ""
        if ending is not None:
            said["streamClosed"] = True
            said["streamEnding"] = ending.kind.value
            event_id = format_offset(self._generation, ending.seq)
        data = json.dumps(said, separators=(",", ":")).encode()
        return encode_tight_event(data, event="control", event_id=event_id)
