"""Events as a browser's EventSource takes them: each with its offset as the id, then ``end``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from tailrace.contracts import Closing
from tailrace.model import DATA, Ending, Event, format_offset
from tailrace.wire.sse import encode_comment, encode_event, encode_retry

# A blank line after it: some intermediaries pass events on only at one.
_HEARTBEAT: Final = encode_comment("ping") + b"\n"


class SseView:
    """``id``, ``event`` unless the type is ``data``, and the data. CR and CRLF read as LF."""

    name: Final = "sse"
    media_type: Final = b"text/event-stream"
    heartbeat: Final = _HEARTBEAT

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        """Raises ValueError where an event's type is more than one line."""
        return b"".join(
            encode_event(
                event.data,
                event="" if event.type == DATA else event.type,
                event_id=format_offset(generation, event.seq),
            )
            for event in events
        )

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
