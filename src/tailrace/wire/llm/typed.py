"""What the streams have in common of which each event says its type: Responses and Messages.

There the data are objects with a member ``type``, and ``event:`` says the same once more. So
only data are kept, and the block is made anew from them (`encode_block`). Where an upstream leaves
the member out, as servers do that send a bare ``{"error":{…}}`` whatever the API, the type is put
into the data, at their front, so that it is not lost: Anthropic's SDK goes by ``event:`` alone.

    block                                       record
    data: an object whose type ends the answer  as the API's table says
    data: an object with an ``error``           ERROR (unless that is null)
    event: error                                ERROR; data that are no object become one
    data: any other object                      CHUNK
    data: [DONE], or nothing but white space    none: only an event can say that all is there
    data: a large text of too many values       TOO_MANY
    data: anything else                         MALFORMED
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from tailrace.wire.json import strict_json
from tailrace.wire.json.strict_json import NotJson, TooManyValues, Value, members
from tailrace.wire.llm.chunk_text import ORDINARY_LIMIT
from tailrace.wire.llm.records import LONGEST_ERROR, Record, RecordKind, error_message
from tailrace.wire.sse import SseEvent, encode_data

ERROR: Final = "error"
_DONE: Final = b"[DONE]"
# Where a type nearly always is: first, or, as pydantic sorts an event's members, last. The one
# brace behind it closes the object itself, and its quotes are real ones, since no escape is near.
_FIRST: Final = re.compile(rb'\{"type": ?"([a-z_.]++)"')
_LAST: Final = re.compile(rb'[{,] ?"type": ?"([a-z_.]++)"\}\Z')
# Longer than any type and what is around it.
_REACH: Final = 100

BEFORE: Final = rb"(?:event: (?!error\n)[a-z_.]++\n)?"
"""A pattern for what may come before the data of a block that is no error."""


def understand(
    event: SseEvent, kinds: Mapping[str, RecordKind], ordinary: re.Pattern[bytes]
) -> Record | None:
    """What one block is. ``kinds``: of the types that are no CHUNK."""
    data = event.data
    failing = event.type == ERROR
    if len(data) <= ORDINARY_LIMIT and not failing and ordinary.fullmatch(data):
        return Record(RecordKind.CHUNK, data)
    if data.strip() in (b"", _DONE):
        return None
    try:
        named = _members(data) if len(data) <= LONGEST_ERROR or not failing else None
    except TooManyValues:
        if not failing:
            return Record(RecordKind.TOO_MANY, b"")
        named = None
    if named is None:
        return _no_object(data, failing=failing)
    failing = failing or named.get("error") is not None
    name = str(named.get("type", ERROR if failing else event.type))
    if "type" not in named and name:
        data = _typed(data, name, empty=not named)
    kind = RecordKind.ERROR if failing else kinds.get(name, RecordKind.CHUNK)
    return Record(kind, data)


def _members(data: bytes) -> dict[str, Value] | None:
    """What the object has; None where the data are no object. Raises TooManyValues."""
    try:
        value = strict_json.loads(data, latin=True)
    except TooManyValues:
        raise
    except NotJson:
        return None
    return dict(value) if isinstance(value, tuple) else None


def _no_object(data: bytes, *, failing: bool) -> Record:
    """Data that are no object, of an event that says it is an error, or of any other."""
    if failing:
        return Record(RecordKind.ERROR, _error(data))
    return Record(RecordKind.MALFORMED, data)


def _typed(data: bytes, name: str, *, empty: bool) -> bytes:
    """The object with its type in front."""
    comma = b"" if empty else b","
    return b'{"type":%b%b%b' % (json.dumps(name).encode(), comma, data.strip()[1:])


def _error(data: bytes) -> bytes:
    """An event for what an upstream said of its failure in other words than JSON's."""
    error = {"type": "api_error", "message": error_message(data)}
    return json.dumps({"type": ERROR, "error": error}, separators=(",", ":")).encode()


def event_type(data: bytes) -> bytes:
    """The type that the data of an event say; empty where they say none that is one word."""
    match = _FIRST.match(data) or _LAST.search(data, max(0, len(data) - _REACH))
    if match is not None:
        return match[1]
    try:
        name = members(strict_json.loads(data, latin=True)).get("type")
    except NotJson:
        return b""
    is_word = isinstance(name, str) and name.isascii() and name.isprintable() and " " not in name
    return str(name).encode() if is_word else b""


def encode_block(data: bytes) -> bytes:
    """The block of an event, as its API sends it."""
    return b"%b%b\n" % (block_head(data), encode_data(data))


def block_head(data: bytes) -> bytes:
    """Its lines before the data."""
    name = event_type(data)
    return b"event: %b\n" % name if name else b""
