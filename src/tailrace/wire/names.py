"""The names of streams, and how they stand in a URL.

    name     = segment *( "/" segment )          1 to 512 bytes of UTF-8
    segment  = 1*character                       but neither "." nor ".."
    character: any, but
        control characters                       U+0000..U+001F, U+007F..U+009F
        backslash                                some servers and shells take it for "/"
        line and paragraph separators            U+2028, U+2029
        bidirectional overrides and isolates     U+202A..U+202E, U+2066..U+2069: they make one
                                                 name look like another

In a URL each byte may be percent-encoded, except those that would change the path's meaning
for a proxy before us which decodes early, or late: ``%2F``, ``%5C`` and ``%00`` are refused.
The check is made on the path as it was sent, because a framework's decoded path has forgotten
the difference. Names are compared byte by byte: no case folding, no Unicode normalisation.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from tailrace.errors import MalformedName

# Long enough for a path of several identifiers, short enough for any URL limit when encoded.
MAX_BYTES: Final = 512
_FORBIDDEN_ESCAPE: Final = re.compile(rb"%(?:2f|5c|00)", re.IGNORECASE)
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_FORBIDDEN_CHARACTER: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\\\\\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def parse_name(raw_path: bytes) -> str:
    """The name that ``raw_path`` spells: a URL's path after the route's prefix, undecoded.

    Raises MalformedName, whose message says what is wrong and does not repeat the name.
    """
    if _FORBIDDEN_ESCAPE.search(raw_path):
        raise MalformedName("A stream name must not contain %2F, %5C or %00.")
    if _BROKEN_ESCAPE.search(raw_path):
        raise MalformedName("A stream name has a % that is not followed by two hex digits.")
    encoded = unquote_to_bytes(raw_path)
    try:
        return check_name(encoded.decode())
    except UnicodeDecodeError:
        raise MalformedName("A stream name must be UTF-8.") from None


def check_name(name: str) -> str:
    """``name``, which came as text and not in a URL. Raises MalformedName."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # JSON can spell half a character
        raise MalformedName("A stream name must be UTF-8.") from None
    if not 1 <= size <= MAX_BYTES:
        raise MalformedName(f"A stream name must have 1 to {MAX_BYTES} bytes.")
    _check_characters(name)
    return name


def name_to_path(name: str) -> str:
    """``name`` as it stands in a URL or a header: ASCII, percent-encoded, slashes kept.

    ``parse_name(name_to_path(name).encode()) == name`` for every name in the grammar.
    """
    return quote(name, safe="/")


def _check_characters(name: str) -> None:
    if _FORBIDDEN_CHARACTER.search(name):
        raise MalformedName(
            "A stream name must not contain control characters, backslashes, line separators "
            "or bidirectional overrides."
        )
    for segment in name.split("/"):
        if not segment:
            raise MalformedName("A stream name must not begin or end with / or contain //.")
        if segment in (".", ".."):
            raise MalformedName("A stream name must not contain . or .. as a segment.")
