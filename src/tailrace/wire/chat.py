"""What the event stream of an OpenAI-compatible chat completion means.

    block                                   record
    data: [DONE]                            DONE; whatever follows is not looked at
    event: error                            ERROR, whatever its data
    data: an object with an ``error``       ERROR (unless that is null)
    data: any other JSON object             CHUNK
    data: nothing but white space           none: some servers keep connections alive with it
    data: anything else                     MALFORMED
    more bytes than allowed                 TOO_LARGE; whatever follows is not looked at

A record's data are the bytes that came. Whether they are JSON is asked of the text in which
every bad byte is U+FFFD, since that is what a client's decoder makes of them.

`delta_text` is the reading of a chunk that the plain-text contract of ``/stream`` is defined
by: Go's ``json.Unmarshal`` into

    struct { Choices []struct { Delta struct { Content string } } }

and then every choice's content in order. Go's rules (encoding/json, decode.go) differ from
those of most decoders, and each shows in the output:

- Names match if they are equal but for ASCII case; U+017F (ſ) also folds to ``s``.
- A member that comes twice is decoded twice *into the same variable*. So null, which leaves a
  variable alone, keeps the earlier content, and a second ``choices`` keeps what its elements do
  not mention. A shorter one hides elements, a longer one after it brings them back.
- Any value of a wrong type in these places fails the whole document. Elsewhere anything goes.
- A lone surrogate escape and each byte of bad UTF-8 become one U+FFFD; WHATWG's decoder, and
  Python's, would make one of several bytes.
"""

from __future__ import annotations

import re
import sys
from enum import Enum
from typing import Final, NamedTuple

from tailrace.wire import sse, strict_json
from tailrace.wire.strict_json import NotJson, Value

_DONE: Final = b"[DONE]"
_ASCII_CASELESS: Final = re.IGNORECASE | re.ASCII
_CHOICES: Final = re.compile("choice[sſ]", _ASCII_CASELESS)
_DELTA: Final = re.compile("delta", _ASCII_CASELESS)
_CONTENT: Final = re.compile("content", _ASCII_CASELESS)
# Spelled so because a compiled module cannot hold a lone surrogate.
_SURROGATE: Final = re.compile(f"[{chr(0xD800)}-{chr(0xDFFF)}]")


def _object_with(name: bytes, value: bytes) -> bytes:
    """A pattern for an object with one member of that value and else plain scalar members.

    Plain: ASCII, no escapes. No other member's name equals ``name``, whatever its case. Members
    are not repeated possessively, although they could be: Python below 3.11.5 then finds no
    match (gh-106052).
    """
    string = rb'"[^"\\\x00-\x1f\x80-\xff]*+"'
    scalar = rb"(?:" + string + rb"|null|true|false|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?)"
    other = rb'(?!"(?i:' + name + rb'|error)")' + string + rb": ?" + scalar
    wanted = rb'"' + name + rb'": ?' + value
    return rb"\{(?:" + other + rb", ?)*" + wanted + rb"(?:, ?" + other + rb")*\}"


# What nearly every chunk of nearly every server looks like: one choice, flat members around it.
# A match proves that the bytes are a CHUNK and finds its text at once, which costs less than
# half of decoding them (1.7 instead of 4.1 µs).
_ORDINARY_CONTENT: Final = rb'(?:"([^"\\\x00-\x1f]*+)"|null)'
_ORDINARY_CHOICE: Final = _object_with(b"delta", _object_with(b"content", _ORDINARY_CONTENT))
_ORDINARY: Final = re.compile(_object_with(b"choices", rb"\[" + _ORDINARY_CHOICE + rb"\]"))
# Twenty times the usual: a longer chunk is none of those, and the pattern's memory is bounded.
_ORDINARY_LIMIT: Final = 4096
# What may stand in the place of an ordinary chunk's text, and leave it an ordinary chunk; and
# what leaves it a CHUNK: line ends and quotes are in every tenth token.
_is_ordinary_text: Final = re.compile(rb'[^"\\\x00-\x1f]*+').fullmatch
_is_escaped_text: Final = re.compile(
    rb'[^"\\\x00-\x1f]*+(?:\\["\\/bfnrt][^"\\\x00-\x1f]*+)*'
).fullmatch
# A sentence for an ending's reason or a log line, not a page of HTML.
_MESSAGE_LIMIT: Final = 300
# {"error": {"message": "…"}} is what everybody sends; one more level for those who wrap it.
_MESSAGE_LEVELS: Final = 3


class RecordKind(Enum):
    """What a block of the stream is."""

    CHUNK = "chunk"
    ERROR = "error"
    MALFORMED = "malformed"
    DONE = "done"
    TOO_LARGE = "too_large"


# Around the data of a block of one line.
_BEFORE: Final = b"data: "
_BEHIND: Final = b"\n\n"


class Record(NamedTuple):
    """One block of the stream, understood."""

    kind: RecordKind
    data: bytes
    """Byte for byte as it came; empty for TOO_LARGE."""


class Mould:
    """The chunks of one answer differ in their text alone: what one of them has around it.

    To compare with the last one's surroundings proves of a chunk what the whole pattern would
    prove, at a third of its cost; and every token of an answer comes through here, once when
    it is read and once for each view that shows text.
    """

    __slots__ = ("head", "least", "tail")

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.least = sys.maxsize
        """Bytes of head and tail; before the first was seen nothing is as long."""

    def text(self, chunk: bytes) -> bytes | None:
        """The bytes of an ordinary chunk's text, which need not be UTF-8; None for any other.

        Around it there is ASCII alone.
        """
        size = len(chunk)
        if size >= self.least and chunk.startswith(self.head) and chunk.endswith(self.tail):
            begin, end = len(self.head), size - len(self.tail)
            if _is_ordinary_text(chunk, begin, end):
                return chunk[begin:end]
        return self._learn(chunk)

    def _learn(self, chunk: bytes) -> bytes | None:
        match = _ordinary(chunk)
        if match is None:
            return None
        begin, end = match.span(1)
        if begin < 0:  # null
            return b""
        self.head, self.tail = chunk[:begin], chunk[end:]
        self.least = begin + len(self.tail)
        return match[1]


class ChatParser:
    """Bytes of a response's body in, records out. Never raises.

    ``max_event`` is the most bytes of data that one event may have.
    """

    def __init__(self, max_event: int) -> None:
        self._events = sse.Parser(max_event)
        self._max_event = max_event
        self._over = False
        self._inner = Mould()
        self._mould = Mould()
        """Of whole pieces: a chunk's with the block around it."""

    def take_chunk(self, piece: bytes) -> bytes | None:
        """The data of ``piece``, if it is one block with one CHUNK and nothing else.

        That is how nearly all of an answer comes. None: it has to be fed. It is recognized by
        what an earlier one looked like; there are no line ends but the block's own, since there
        were none then and none can be in a text.
        """
        mould = self._mould
        size = len(piece)
        if mould.least <= size <= self._max_event and (
            piece.startswith(mould.head)
            and piece.endswith(mould.tail)
            and _is_escaped_text(piece, len(mould.head), size - len(mould.tail))
        ):
            return piece[len(_BEFORE) : -len(_BEHIND)]
        return None

    def _look_at(self, piece: bytes, records: list[Record]) -> None:
        """Have ``take_chunk`` recognize what looks like ``piece``, which gave these records.

        Not after one that ends within a block: what comes next would be something else.
        """
        inner, mould = self._inner, self._mould
        if self._over or not self._events.between:
            mould.least = sys.maxsize
            return
        data = records[0].data if len(records) == 1 else b""
        if piece == _BEFORE + data + _BEHIND:
            inner.text(data)
        if inner.least < sys.maxsize:
            mould.head, mould.tail = _BEFORE + inner.head, inner.tail + _BEHIND
            mould.least = len(mould.head) + len(mould.tail)

    def feed(self, chunk: bytes) -> list[Record]:
        """The records that ``chunk`` completes; none after DONE or TOO_LARGE."""
        if self._over:
            return []
        try:
            records = self._understand(self._events.feed(chunk))
        except sse.EventTooLarge as error:
            return self._give_up(error)
        self._look_at(chunk, records)
        return records

    def finish(self, complete: bool) -> list[Record]:
        """The body has ended; ``complete`` says whether as the sender meant it to.

        A last block without its blank line then counts if it is whole. If it is not, the
        sender was cut off behind a connection that ended well, and the missing DONE says so.
        """
        if self._over:
            return []
        try:
            records = self._understand(self._events.finish(flush=complete))
        except sse.EventTooLarge as error:
            return self._give_up(error)
        return [record for record in records if record.kind is not RecordKind.MALFORMED]

    def _understand(self, events: list[sse.SseEvent]) -> list[Record]:
        records = []
        for event in events:
            kind = _kind(event)
            if kind is not None:
                records.append(Record(kind, event.data))
            if kind is RecordKind.DONE:
                self._over = True
                break
        return records

    def _give_up(self, error: sse.EventTooLarge) -> list[Record]:
        records = self._understand(error.events)
        self._mould.least = sys.maxsize
        if not self._over:
            self._over = True
            records.append(Record(RecordKind.TOO_LARGE, b""))
        return records


def _kind(event: sse.SseEvent) -> RecordKind | None:
    if event.type == "error":
        return RecordKind.ERROR
    if _ordinary(event.data):
        return RecordKind.CHUNK
    stripped = event.data.strip()
    if stripped == _DONE:
        return RecordKind.DONE
    return _kind_of_json(event.data) if stripped else None


def _ordinary(data: bytes) -> re.Match[bytes] | None:
    return _ORDINARY.fullmatch(data) if len(data) <= _ORDINARY_LIMIT else None


def _kind_of_json(data: bytes) -> RecordKind:
    try:
        value = strict_json.loads(data)
    except NotJson:
        return RecordKind.MALFORMED
    if not isinstance(value, tuple):
        return RecordKind.MALFORMED
    for name, member in value:
        if name == "error" and member is not None:
            return RecordKind.ERROR
    return RecordKind.CHUNK


def error_message(data: bytes) -> str:
    """What an ERROR record says, for a person: one line, printable, at most 300 characters."""
    try:
        found = _find_message(strict_json.loads(data))
    except NotJson:
        found = data[: 4 * _MESSAGE_LIMIT].decode("utf-8", "replace")
    printable = "".join(c if c.isprintable() else " " for c in found[: 2 * _MESSAGE_LIMIT])
    message = " ".join(printable.split())
    if not message:
        return "The upstream reported an error and did not say which."
    return message if len(message) <= _MESSAGE_LIMIT else message[: _MESSAGE_LIMIT - 1] + "…"


def _find_message(value: Value, levels: int = _MESSAGE_LEVELS) -> str:
    """The most telling string of an error object, whichever of the usual shapes it has."""
    if isinstance(value, str):
        return value
    if not isinstance(value, tuple) or not levels:
        return ""
    members = dict(value)
    for name in ("error", "message", "detail", "code", "type"):
        found = _find_message(members.get(name), levels - 1)
        if found.strip():
            return found
    return ""


class _TypeMismatch(Exception):
    """Go could not have stored this value where it belongs."""


class DeltaText:
    """`delta_text` for the chunks of one answer, of which it remembers what they look like."""

    __slots__ = ("_mould",)

    def __init__(self) -> None:
        self._mould = Mould()

    def __call__(self, chunk: bytes) -> bytes:
        ordinary = self._mould.text(chunk)
        if ordinary is not None and (ordinary.isascii() or _is_utf8(ordinary)):
            return ordinary
        return delta_text(chunk)


def delta_text(chunk: bytes) -> bytes:
    """The text of all choices of ``chunk``, in UTF-8; empty where Go would skip the chunk."""
    try:
        text = "".join(_decode_chunk(strict_json.loads(chunk)))
    except (NotJson, _TypeMismatch):
        return b""
    return _SURROGATE.sub("\ufffd", text).encode()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_chunk(value: Value) -> list[str]:
    """The content of each choice. What a shorter ``choices`` hid stays in ``kept``."""
    kept: list[str] = []
    length = 0
    for name, member in _members(value):
        if len(name) != len("choices") or not _CHOICES.fullmatch(name):
            continue
        if member is None or member == []:  # here Go lets go of the old array
            kept, length = [], 0
            continue
        if not isinstance(member, list):
            raise _TypeMismatch
        length = len(member)
        kept += [""] * (length - len(kept))
        kept[:length] = map(_decode_choice, member, kept)
    return kept[:length]


def _decode_choice(value: Value, content: str) -> str:
    """The choice's content after ``value`` is decoded into it; ``content`` is that before."""
    for name, member in _members(value):
        if len(name) == len("delta") and _DELTA.fullmatch(name):
            content = _decode_delta(member, content)
    return content


def _decode_delta(value: Value, content: str) -> str:
    for name, member in _members(value):
        if len(name) != len("content") or not _CONTENT.fullmatch(name) or member is None:
            continue
        if not isinstance(member, str):
            raise _TypeMismatch
        content = member
    return content


def _members(value: Value) -> strict_json.Object:
    """The members of what Go decodes into a struct: an object, or null, which has none."""
    if value is None:
        return ()
    if not isinstance(value, tuple):
        raise _TypeMismatch
    return value
