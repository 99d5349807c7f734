"""The view ``sse`` for a stream that shares its body with others.

What is told apart there is told apart by the offset, which begins with a generation. So a fork's
inherited events have the fork's own here, which is as good a place in it, and not that of the
stream that made them, which may be in the same body. The body has one heartbeat for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tailrace.contracts import Closing, Part
from tailrace.model import Ending, Event
from tailrace.views.sse import SseView


class MergedSseView:
    """``generation``: of a fork; empty for a stream that has made all its events itself."""

    media_type: Final = SseView.media_type
    heartbeat: Final = b""

    def __init__(self, content_type: str, generation: str = "") -> None:
        # Without a generation of its own its encodings are those of ``sse``, and shared with it.
        self.name: Final = f"{SseView.name} of {generation}" if generation else SseView.name
        self._sse: Final = SseView(content_type)
        self.eventwise: Final = self._sse.eventwise
        self._generation: Final = generation

    def whole(self, events: Sequence[Event], *, fewest: bool, last: bool) -> int:
        return self._sse.whole(events, fewest=fewest, last=last)

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        return self._sse.encode(self._generation or generation, events)

    def part(self, generation: str, event: Event, place: int) -> Part | None:
        return self._sse.part(self._generation or generation, event, place)

    def end(self, generation: str, ending: Ending) -> Closing:
        return self._sse.end(generation, ending)

    def farewell(self, retry: int) -> Closing:
        return self._sse.farewell(retry)
