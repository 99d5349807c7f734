"""What the event stream of a model API means, as far as all of them agree.

An answer is a sequence of blocks (`tailrace.wire.sse`). What one of them is, its API says, in a
`Grammar`; what is done with it, its kind:

    record       its data are              the answer
    CHUNK        kept                      goes on
    LAST         kept                      is whole
    ERROR        kept                      has failed; `reported` says why
    CANCELLED    kept                      was stopped at the upstream
    DONE         not kept                  is whole
    PING         not kept: a sign of life  goes on
    MALFORMED    not what they should be   goes on, and was not whole
    TOO_LARGE    empty                     cannot be read any further
    TOO_MANY     empty                     has more values than are read (strict_json)

Nothing after LAST, CANCELLED, DONE, TOO_LARGE and TOO_MANY is looked at. What follows an ERROR is
for its reader to leave alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from tailrace.wire import sse
from tailrace.wire.json.strict_json import LARGE, NotJson, Value
from tailrace.wire.llm.chunk_text import ESCAPED_TEXT, ORDINARY_LIMIT, Mould, text_value

# Around the data of a block of one line.
_BEFORE: Final = b"data: "
_BEHIND: Final = b"\n\n"
_is_escaped_text: Final = re.compile(ESCAPED_TEXT).fullmatch
# A sentence for an ending's reason or a log line, not a page of HTML.
_MESSAGE_LIMIT: Final = 300
LONGEST_ERROR: Final = 2 * 1024 * 1024
"""Bytes of an error that is decoded, which has a few hundred as a rule."""
# {"error": {"message": "…"}} is what everybody sends; one more level for those who wrap it, as
# {"response": {"error": {"message": "…"}}}.
_MESSAGE_LEVELS: Final = 3


class RecordKind(Enum):
    """What a block of the stream is."""

    CHUNK = "chunk"
    LAST = "last"
    ERROR = "error"
    CANCELLED = "cancelled"
    DONE = "done"
    PING = "ping"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"


class Record(NamedTuple):
    """One block of the stream, understood."""

    kind: RecordKind
    data: bytes
    """Byte for byte as it came, but for what an API's grammar says of data without a type."""


_FINAL: Final = (RecordKind.DONE, RecordKind.LAST, RecordKind.CANCELLED, RecordKind.TOO_MANY)


class Grammar:
    """What the blocks of one API are."""

    __slots__ = ("block", "understand")

    def __init__(
        self,
        understand: Callable[[sse.SseEvent], Record | None],
        ordinary: Callable[[bytes], bytes],
        before: bytes = b"",
    ) -> None:
        """``understand`` says it of any block; None: nothing at all.

        ``ordinary``: given a pattern for the text of a chunk, one for the data of nearly all
        of them. A match proves that they are a CHUNK. Its group 1 is the text, or took no part.
        ``before``: a pattern, without spaces in what it matches but the one after a field's
        name, for what may come before ``data:`` there.
        """
        self.understand: Final = understand
        self.block: Final = re.compile(
            b"(?:" + before + b")" + _BEFORE + ordinary(ESCAPED_TEXT) + _BEHIND
        )


class AnswerParser:
    """Bytes of a response's body in, records out. Never raises.

    ``max_event`` is the most bytes of data that one event may have.
    """

    def __init__(self, grammar: Grammar, max_event: int) -> None:
        self._grammar = grammar
        self._events = sse.Parser(max_event)
        self._max_event = max_event
        self._over = False
        self._ready = False
        """What comes next begins a block: a piece that is one may be taken without the rest."""
        self._mould = Mould(grammar.block)
        """Of whole pieces: a chunk's with the block around it."""
        self._before = 0
        """How much of its head is before the data."""

    def take_chunk(self, piece: bytes) -> bytes | None:
        """The data of ``piece``, if it is one block with one CHUNK and nothing else.

        That is how nearly all of an answer comes. None: it has to be fed. It is recognized by
        what an earlier one looked like; there are no line ends but the block's own, since there
        were none then and none can be in a text. Answers of which each chunk differs in more
        than its text (a number that counts, characters that hide how long the text is) are
        recognized by their grammar.
        """
        if not self._ready:
            return None
        mould = self._mould
        size = len(piece)
        if mould.least <= size <= self._max_event and (
            piece.startswith(mould.head)
            and piece.endswith(mould.tail)
            and _is_escaped_text(piece, len(mould.head), size - len(mould.tail))
        ):
            return piece[self._before : -len(_BEHIND)]
        return self._recognize(piece)

    def _recognize(self, piece: bytes) -> bytes | None:
        if len(piece) > min(ORDINARY_LIMIT, self._max_event):
            return None
        match = self._grammar.block.fullmatch(piece)
        if match is None:
            return None
        # No head of a block holds another ``data: ``, for it has no spaces but those.
        before = piece.index(_BEFORE) + len(_BEFORE)
        begin, end = match.span(1)
        if begin >= 0:
            self._mould.remember(piece, begin, end)
            self._before = before
        return piece[before : -len(_BEHIND)]

    def feed(self, chunk: bytes) -> list[Record]:
        """The records that ``chunk`` completes; none after one that ends the answer."""
        if self._over:
            return []
        try:
            records = self._understand(self._events.feed(chunk))
        except sse.EventTooLarge as error:
            return self._give_up(error)
        # Not after one that ends within a block: what comes next would be something else.
        self._ready = self._events.between and not self._over
        return records

    def finish(self, complete: bool) -> list[Record]:
        """The body has ended; ``complete`` says whether as the sender meant it to.

        A last block without its blank line then counts if it is whole. If it is not, the
        sender was cut off behind a connection that ended well, and the missing end says so.
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
            record = self._grammar.understand(event)
            if record is None:
                continue
            records.append(record)
            if record.kind in _FINAL:
                self._over = True
                break
        return records

    def _give_up(self, error: sse.EventTooLarge) -> list[Record]:
        records = self._understand(error.events)
        self._ready = False
        if not self._over:
            self._over = True
            records.append(Record(RecordKind.TOO_LARGE, b""))
        return records


def reported(data: bytes) -> str:
    """The reason of the ending that an ERROR or a CANCELLED record brings."""
    return f"The upstream reported: {error_message(data)}"


def error_message(data: bytes) -> str:
    """What an ERROR record says, for a person: one line, printable, at most 300 characters.

    Of more than ``LONGEST_ERROR`` bytes the beginning, whatever it is.
    """
    try:
        if len(data) > LONGEST_ERROR:
            raise NotJson
        value, encode = text_value(data)
        found = _find_message(value)[: 4 * _MESSAGE_LIMIT]
        if len(data) > LARGE:  # its text may be made of bytes
            found = encode(found).decode("utf-8", "replace")
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
    for name in ("error", "message", "response", "detail", "code", "type"):
        found = _find_message(members.get(name), levels - 1)
        if found.strip():
            return found
    return ""
