"""The event stream of Server-Sent Events (WHATWG HTML, "Server-sent events"), both ways.

What makes this grammar easy to get wrong is that bytes come in pieces cut anywhere, and that
its idea of a line is not that of most libraries:

- A line ends at LF, CR or CRLF and nowhere else: U+0085 and U+2028 are data, so `splitlines()`
  on text is wrong. A CR at the end of a piece ends its line at once, and an LF that begins the
  next piece belongs to it.
- Line ends, colons and field names are ASCII, and no byte of a longer UTF-8 sequence is. So
  lines can be cut from bytes, and a character cut in two is nobody's concern here. Data stays
  the bytes that came; a reader decodes them, bad sequences to U+FFFD.
- A block ends at a blank line. It is dispatched if it had a ``data`` field, be it an empty one.
  Its type is forgotten then, its id is not: an id holds until another one comes.

    line               meaning
    (empty)            dispatch the block
    :anything          comment
    data:x  data: x    one more line of data, ``x``; one space after the colon is not part of it
    data               the same with an empty ``x``; every field may come without a colon
    event: x           the block's type
    id: x              the last event id, from here on; ignored where it holds a NUL
    retry: 123         ASCII digits only, else ignored
    other: x           ignored

A line that has not ended yet is kept in one growing buffer and is never looked at again before
it ends, so that the work is linear in the input however finely it is cut.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_NOT_IN_A_FIELD: Final = re.compile("[\r\n\0]")
# A line of data may be longer than the data by the field's name and what follows it.
_FIELD_ROOM: Final = len(b"data: ")
# 10**15 ms are thirty thousand years; int() on what a stranger sent needs some limit.
_RETRY_DIGITS: Final = 15


class SseEvent(NamedTuple):
    """One dispatched block."""

    type: str
    """The ``event`` field; empty where none was given, which a browser calls ``message``."""
    data: bytes
    """As the bytes came, several lines of data joined by LF; not necessarily UTF-8."""
    id: str
    """The last event id: this block's own, or that of the latest block which had one."""


class EventTooLarge(Exception):
    """A line or an event is over the parser's limit; the parser must not be fed again.

    ``events`` holds what the same call had parsed before it.
    """

    def __init__(self, limit: int, events: list[SseEvent]) -> None:
        super().__init__(f"An event of the stream is larger than {limit} bytes.")
        self.events = events


class Parser:
    """Bytes in, events out. Any cut of the same bytes gives the same events.

    ``max_event`` is the most bytes of data that one event may have. Lines that are no data,
    comments too, may be as long as a line of that much data.
    """

    def __init__(self, max_event: int) -> None:
        self.retry: int | None = None
        """Milliseconds from the latest valid ``retry`` field."""
        self.last_event_id = ""
        """What a client sends when it reconnects: the id as of the latest blank line."""
        self._max_event = max_event
        self._start: bytes | None = b""
        """The stream's first bytes while they may still be a byte order mark; then None."""
        self._after_cr = False
        self._line = bytearray()
        """The line that has not ended yet."""
        self._type = ""
        self._id = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that ``chunk`` completes. Raises EventTooLarge."""
        events: list[SseEvent] = []
        if self._start is not None:
            chunk = self._skip_bom(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if chunk:
            self._feed_lines(chunk, events)
        return events

    @property
    def between(self) -> bool:
        """Whether what is fed next begins a block, whatever it is.

        A piece that is one block of data by itself may then as well not be fed, and nothing
        will have changed.
        """
        unended = self._start is not None or self._after_cr or self._line
        return not (unended or self._data or self._type or self._id != self.last_event_id)

    def finish(self, flush: bool) -> list[SseEvent]:
        """The input has ended; the parser must not be fed again. Raises EventTooLarge.

        A block without its blank line is dropped, as WHATWG says. ``flush`` dispatches it
        instead, for a sender that is known to have ended well and forgets the last line ends.
        """
        events: list[SseEvent] = []
        if flush:
            line = bytes(self._line)
            self._line.clear()
            if line:
                self._take(line, events)
            self._dispatch(events)
        return events

    def _skip_bom(self, chunk: bytes) -> bytes:
        """``chunk`` with what was held back before it and without the byte order mark."""
        start = (self._start or b"") + chunk
        if _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)

    def _feed_lines(self, chunk: bytes, events: list[SseEvent]) -> None:
        if b"\r" in chunk:
            lines = _LINE_END.split(chunk)
            self._after_cr = chunk.endswith(b"\r")
        else:
            lines = chunk.split(b"\n")
        unended = lines.pop()
        if lines and self._line:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line.clear()
        for line in lines:
            self._take(line, events)
        self._line += unended
        if len(self._line) > self._max_event + _FIELD_ROOM:
            raise EventTooLarge(self._max_event, events)

    def _take(self, line: bytes, events: list[SseEvent]) -> None:
        """Do what one whole line, without its end, says."""
        if not line:
            self._dispatch(events)
            return
        if len(line) > self._max_event + _FIELD_ROOM:
            raise EventTooLarge(self._max_event, events)
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._take_data(value, events)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            self.retry = int(value)

    def _take_data(self, value: bytes, events: list[SseEvent]) -> None:
        self._data.append(value)
        self._size += len(value) + 1  # and the LF that joins it to the next
        if self._size - 1 > self._max_event:
            raise EventTooLarge(self._max_event, events)

    def _dispatch(self, events: list[SseEvent]) -> None:
        self.last_event_id = self._id
        if self._data:
            events.append(SseEvent(self._type, b"\n".join(self._data), self._id))
            self._data = []
            self._size = 0
        self._type = ""


def encode_event(data: bytes, *, event: str = "", event_id: str = "") -> bytes:
    """One block. Fields that are empty are left out; ``data`` never is.

    LF, CR and CRLF in ``data`` each begin another line, so that a reader sees an LF for each.
    Raises ValueError where ``event`` or ``event_id`` cannot be said in one line.
    """
    return b"%b%b\n" % (encode_head(event=event, event_id=event_id), encode_data(data))


def encode_head(*, event: str = "", event_id: str = "") -> bytes:
    """The lines of a block before its data. Raises ValueError as ``encode_event`` does."""
    head = b"id: %b\n" % _one_line(event_id) if event_id else b""
    return head + b"event: %b\n" % _one_line(event) if event else head


def encode_data(data: bytes) -> bytes:
    """The lines of data alone, without the blank line that would dispatch them."""
    return b"data: %b\n" % continue_data(data)


def continue_data(data: bytes) -> bytes:
    """Some of the data of a block, whose ``data:`` has been written.

    What follows it in the block is encoded likewise, if a CRLF is not cut between the two.
    """
    if b"\n" in data or b"\r" in data:
        return b"\ndata: ".join(_LINE_END.split(data))
    return data


def encode_tight_event(data: bytes, *, event: str, event_id: str = "") -> bytes:
    """The same block with no space after ``data:``, but where the line itself begins with one.

    Readers strip one space if there is one (HTML, 9.2.6), so both mean the same.
    """
    head = b"id: %b\n" % _one_line(event_id) if event_id else b""
    data = continue_tight_data(data, begins_line=True)
    return b"%bevent: %b\ndata:%b\n\n" % (head, _one_line(event), data)


def continue_tight_data(data: bytes, *, begins_line: bool) -> bytes:
    """As ``continue_data``, for such a block; ``begins_line``: its first byte begins a line."""
    lines = _LINE_END.split(data)
    first = 0 if begins_line else 1
    lines[first:] = [b" " + line if line[:1] == b" " else line for line in lines[first:]]
    return b"\ndata:".join(lines)


def encode_comment(text: str) -> bytes:
    """One comment line, without a blank line. Raises ValueError where it is more than one."""
    return b": %b\n" % _one_line(text)


def encode_retry(milliseconds: int) -> bytes:
    """A block that only sets how long a client waits before it reconnects."""
    return b"retry: %d\n\n" % milliseconds


def _one_line(value: str) -> bytes:
    if not value.isprintable() and _NOT_IN_A_FIELD.search(value):
        raise ValueError("a field of an event must be one line without NUL")
    return value.encode()
