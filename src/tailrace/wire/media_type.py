"""Media types (RFC 9110, 8.3.1): the one reader of ``Content-Type`` values. Pure.

    function       for                                       an ill-formed value
    -------------  ----------------------------------------  ---------------------------------
    ``parse``      what is to be kept, or trusted            None
    ``parameter``  a parameter of a well-formed type         as if it had no parameters
    ``essence``    what somebody sent, to find out how its   what stands before the first
                   bytes are to be read                      semicolon
    ``as_plain``   a text that is to be shown as it is       plain text in UTF-8
    ``is_passive`` whether a browser may show it as a page   False
                   of our origin

A value with a comma outside of quotes is ill-formed: it is a list of types, and of several types
a browser may believe another one than we do.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 9110, 5.6.4. Fields are read as Latin-1, so obs-text is one character a byte.
_QUOTED: Final = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_ESSENCE: Final = re.compile(rf"({_WORD}/{_WORD})")
# One semicolon with the parameter behind it, if there is one, and the whitespace around both.
_PARAMETER: Final = re.compile(rf"[\t ]*;[\t ]*(?:({_WORD})=({_WORD}|{_QUOTED}))?")
_ESCAPED: Final = re.compile(r"\\(.)")

# Types that browsers show without running anything in them. Nothing else may be a document of our
# origin: a type is added here when browsers are known to give it no scripts, styles or frames.
_PASSIVE: Final = frozenset(
    {
        "text/plain",
        "text/event-stream",
        "application/json",
        "application/problem+json",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "image/apng",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/vnd.microsoft.icon",
        "image/webp",
        "image/x-icon",
        "audio/aac",
        "audio/flac",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/opus",
        "audio/wav",
        "audio/webm",
        "audio/x-wav",
        "video/mp4",
        "video/mpeg",
        "video/ogg",
        "video/quicktime",
        "video/webm",
        # Chromium's viewer does not open in a sandbox, and has one of its own.
        "application/pdf",
    }
)
# Some readers of lists take an apostrophe for a quotation mark, or no escapes within quotes. So
# a comma within quotes is none to everybody only where neither is there.
_DOUBTFUL: Final = re.compile(r"['\\]")


class MediaType(NamedTuple):
    """A well-formed media type."""

    essence: str
    """``type/subtype`` in lower case."""
    parameters: tuple[tuple[str, str], ...]
    """Names in lower case and values, without their quotes, in the order in which they came."""


def parse(content_type: str) -> MediaType | None:
    """Read a whole field value, without whitespace around it; None where it is ill-formed."""
    found = _ESSENCE.match(content_type)
    if found is None:
        return None
    parameters = []
    place = found.end()
    while place < len(content_type):
        part = _PARAMETER.match(content_type, place)
        if part is None:
            return None
        if part[1] is not None:
            parameters.append((part[1].lower(), _unquoted(part[2])))
        place = part.end()
    return MediaType(found[1].lower(), tuple(parameters))


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def essence(content_type: str) -> str:
    """``type/subtype`` in lower case, without parameters, whatever these are."""
    return content_type.partition(";")[0].strip().lower()


def essence_of(field: bytes | None) -> str:
    """The same of a header field; empty where there is none."""
    return essence((field or b"").decode("latin-1"))


def is_json(content_type: str) -> bool:
    """Whether each ``data`` event of such a stream is one JSON value."""
    return essence(content_type) == "application/json"


def parameter(content_type: str, name: str) -> str:
    """The value of a parameter, without quotes and in lower case; empty where there is none."""
    kind = parse(content_type)
    parameters = kind.parameters if kind is not None else ()
    return next((value.lower() for key, value in parameters if key == name), "")


def as_plain(content_type: str) -> str:
    """Return ``text/plain``, with the parameters of ``content_type`` where that is a text."""
    kind = parse(content_type)
    if kind is None or not kind.essence.startswith("text/") or not kind.parameters:
        return "text/plain; charset=utf-8"
    return f"text/plain; {content_type.partition(';')[2].strip()}"


def is_passive(content_type: str) -> bool:
    """Whether a browser shows such a body without running anything that is in it.

    True only for a type of the list above, and only where nobody can read another one out of it.
    """
    kind = parse(content_type)
    if kind is None or kind.essence not in _PASSIVE:
        return False
    return "," not in content_type or not _DOUBTFUL.search(content_type)
