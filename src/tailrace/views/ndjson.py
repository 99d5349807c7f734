"""One JSON object a line, for programs: every event with all that is known about it."""

# ruff: noqa: ARG002 - a contract's methods are given what some views need and others don't.
from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Final

from tailrace.contracts import Closing, Part
from tailrace.model import DATA, Ending, Event, format_offset
from tailrace.views.parts import following, stop_of

# JSON has line ends only between its tokens, where a space means the same.
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")


class NdjsonView:
    """Always UTF-8, always one line an event.

    ``data_is_json``: whether the stream's ``data`` events are JSON; they then stand as they are,
    but for bytes that are no UTF-8, which become U+FFFD. All other data are a string, or base64
    with ``"encoding":"base64"`` where they are no UTF-8.
    """

    name: Final = "ndjson"
    eventwise: Final = True
    media_type: Final = b"application/x-ndjson"
    # Readers of this format skip empty lines.
    heartbeat: Final = b"\n"

    def __init__(self, *, data_is_json: bool) -> None:
        self._data_is_json: Final = data_is_json

    def whole(self, events: Sequence[Event], *, fewest: bool, last: bool) -> int:
        return 1 if fewest else len(events)

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        return b"".join(self._line(generation, event) for event in events)

    def part(self, generation: str, event: Event, place: int) -> Part | None:
        """None for data that become a string, or base64: which, only all of them can say."""
        seq, time, kind, data = event
        if not self._data_is_json or kind != DATA:
            return None
        stop = stop_of(data, place)
        value = _json_value(data[place:stop])
        before = b"" if place else b'%b,"data":' % _head(generation, seq, time, kind).encode()
        behind = b"}\n" if stop == len(data) else b""
        return b"%b%b%b" % (before, value, behind), following(data, stop)

    def end(self, generation: str, ending: Ending) -> Closing:
        """A line of type ``end``. Always whole: it says by itself how the stream ended."""
        head = _head(generation, ending.seq, ending.time, "end")
        tail = json.dumps({"ending": ending.kind, "reason": ending.reason}, separators=(",", ":"))
        return Closing(f"{head},{tail[1:]}\n".encode(), whole=True)

    def farewell(self, retry: int) -> Closing:
        """Nothing: a line would look like an event. The cut body says that there is more."""
        return Closing(b"", whole=False)

    def _line(self, generation: str, event: Event) -> bytes:
        head = _head(generation, event.seq, event.time, event.type).encode()
        as_json = self._data_is_json and event.type == DATA
        value = _json_value(event.data) if as_json else _text(event.data)
        return b'%b,"data":%b}\n' % (head, value)


def _head(generation: str, seq: int, time: int, kind: str) -> str:
    """An object's beginning, not closed."""
    return f'{{"id":"{format_offset(generation, seq)}","time":{time},"type":{json.dumps(kind)}'


def _json_value(data: bytes) -> bytes:
    value = data.translate(_ONE_LINE)
    return value if value.isascii() else value.decode("utf-8", "replace").encode()


def _text(data: bytes) -> bytes:
    """A JSON value for any bytes, and the member that says so where it is not their text."""
    try:
        return json.dumps(data.decode(), ensure_ascii=False).encode()
    except UnicodeDecodeError:
        return b'"%b","encoding":"base64"' % base64.b64encode(data)
