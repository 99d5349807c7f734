"""Events as a browser's EventSource takes them: each with its offset as the id, then ``end``."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from tailrace.contracts import Closing, Part
from tailrace.model import DATA, Ending, Event, format_offset
from tailrace.views.parts import base64_part, block_part
from tailrace.views.text_units import joined_text, whole_text
from tailrace.wire.durable import is_base64, is_text
from tailrace.wire.sse import encode_comment, encode_event, encode_head, encode_retry

# A blank line after it: some intermediaries pass events on only at one.
_HEARTBEAT: Final = encode_comment("ping") + b"\n"


class SseView:
    """``id``, ``event`` unless the type is ``data``, and the data. CR and CRLF read as LF.

    What is neither text nor JSON is base64 (``is_base64``). Text that was cut within a character
    is one event as far as the character goes, so that an id never stands inside one.
    """

    name: Final = "sse"
    media_type: Final = b"text/event-stream"
    heartbeat: Final = _HEARTBEAT

    def __init__(self, content_type: str) -> None:
        self._is_text: Final = is_text(content_type)
        self.eventwise: Final = not self._is_text
        self._is_base64: Final = is_base64(content_type)

    def whole(self, events: Sequence[Event], *, fewest: bool, last: bool) -> int:
        if self._is_text:
            return whole_text(events, fewest=fewest, last=last)
        return 1 if fewest else len(events)

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        """Raises ValueError where an event's type is more than one line."""
        if self._is_text:
            events = joined_text(events)
        elif self._is_base64:
            events = [
                event._replace(data=b64encode(event.data)) if event.type == DATA else event
                for event in events
            ]
        return b"".join(
            encode_event(
                event.data,
                event="" if event.type == DATA else event.type,
                event_id=format_offset(generation, event.seq),
            )
            for event in events
        )

    def part(self, generation: str, event: Event, place: int) -> Part | None:
        """None for text: whether an event of it stands alone is not for one event to say."""
        seq, _, kind, data = event
        if self._is_text:
            return None
        head = encode_head(
            event="" if kind == DATA else kind, event_id=format_offset(generation, seq)
        )
        if self._is_base64 and kind == DATA:
            return base64_part(head + b"data: ", data, place)
        return block_part(head, data, place)

    def end(self, generation: str, ending: Ending) -> Closing:
        """An ``end`` event. Always whole: it says by itself how the stream ended."""
        data = json.dumps({"ending": ending.kind, "reason": ending.reason})
        offset = format_offset(generation, ending.seq)
        return Closing(encode_event(data.encode(), event="end", event_id=offset), whole=True)

    def farewell(self, retry: int) -> Closing:
        """No ``end``, so that EventSource reconnects, after ``retry`` milliseconds."""
        return Closing(encode_retry(retry), whole=False)


def greeting(generation: str, url: str) -> bytes:
    """The first event of an answer to ``/stream``: where the stream is, and a place in it.

    Its id is the place before the first event, so that a connection lost before any other
    event came is resumed, too. ``url`` is a reference to be resolved against the request's.
    """
    data = json.dumps({"url": url})
    return encode_event(data.encode(), event="stream", event_id=format_offset(generation, 0))
