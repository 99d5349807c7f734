"""The data alone. In this view there is no room for a word of ours."""

# ruff: noqa: ARG002 - a contract's methods are given what some views need and others don't.
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tailrace.contracts import LAST_PART, Closing, Part
from tailrace.model import DATA, Ending, Event
from tailrace.views.parts import PART, following
from tailrace.wire.llm.apis import api_of
from tailrace.wire.media_type import as_plain


class TextView:
    """Chunks of a model's answer as their text; events of any other stream as they are.

    Since nothing can be said in words, every ending but ``completed`` is told by a body that
    HTTP calls incomplete.
    """

    name: Final = "text"
    eventwise: Final = True
    heartbeat: Final = b""

    def __init__(self, content_type: str) -> None:
        # Its bytes go out unchanged, so its parameters hold. The stream's own type does not:
        # whoever may append ``text/html`` could otherwise run scripts in our origin.
        self.media_type: Final = as_plain(content_type).encode("latin-1")
        api = api_of(content_type)
        self._of_api: Final = api is not None
        self._text: Final[Callable[[bytes], bytes]] = bytes if api is None else api.text_reader()

    def whole(self, events: Sequence[Event], *, fewest: bool, last: bool) -> int:
        return 1 if fewest else len(events)

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        if len(events) == 1:
            _, _, kind, data = events[0]
            return self._text(data) if kind == DATA else b""
        text = self._text
        return b"".join([text(event.data) for event in events if event.type == DATA])

    def part(self, generation: str, event: Event, place: int) -> Part | None:
        """None for a chunk of an answer, whose text is known only when all of it was read."""
        if event.type != DATA:
            return b"", LAST_PART
        if self._of_api:
            return None
        stop = min(place + PART, len(event.data))
        return event.data[place:stop], following(event.data, stop)

    def end(self, generation: str, ending: Ending) -> Closing:
        return Closing(b"", whole=ending.whole)

    def farewell(self, retry: int) -> Closing:
        return Closing(b"", whole=False)
