"""What an application appends, as the bytes of an event. Sans-I/O.

    content type        data given        becomes
    ------------------  ----------------  ---------------------------------------------
    application/json    bytes             themselves, if they are one JSON value
    application/json    anything else     its JSON (so a str becomes a JSON string)
    any other           str               its UTF-8
    any other           bytes             themselves

One append is one event: a list appended to a JSON stream is one message, an array. (Over HTTP,
the Durable Streams protocol flattens one level of an array.)
"""

from __future__ import annotations

import json
import re
from typing import Final

from tailrace.wire.characters import is_well_formed
from tailrace.wire.json.strict_json import loads
from tailrace.wire.media_type import is_json

# What readers are told by us: an application that said one of these would lie in our name.
RESERVED: Final = frozenset({"end", "gap", "stream"})
# The field that carries it in an event stream ends at any of these (HTML, 9.2.6).
_UNFIT: Final = re.compile("[\r\n\0]")


def encode(content_type: str, data: object) -> bytes:
    """The bytes of one event. Raises TypeError or ValueError, which say what is wrong."""
    if is_json(content_type):
        return _json(data)
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError(
        f"A stream of {content_type} takes str or bytes, not {type(data).__name__}; make it of "
        "application/json to append other values."
    )


def _json(data: object) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        raw = bytes(data)
        loads(raw, most=len(raw))
        raw.decode()
        return raw
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def check_type(kind: str) -> str:
    """``kind``, if it can be the type of an event. Raises ValueError."""
    if not kind or _UNFIT.search(kind) or not is_well_formed(kind):
        raise ValueError("An event's type is one line of text, without NUL, that UTF-8 can say.")
    if kind in RESERVED:
        raise ValueError(f"Events of type {kind!r} are made by Tailrace itself; use another type.")
    return kind
