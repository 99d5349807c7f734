"""The messages of a JSON body: the elements of its array, byte for byte. Sans-I/O.

The Durable Streams protocol (9.1.2) has one level of an array flattened into messages. They are
slices of the bytes that came, not values written anew: 1.0 stays 1.0, an integer keeps its
digits, an object its duplicate keys and its spaces.

Elements are found by the standard library's scanner, one after another, so a byte is looked at
once and in C; the strict rules (no NaN, UTF-8, bounded nesting) are ``strict_json``'s.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from tailrace.errors import BadRequest
from tailrace.wire.strict_json import MAX_DEPTH, NotJson, loads

_SPACE: Final = re.compile(r"[ \t\n\r]*")


def _refuse(_constant: str) -> NoReturn:
    raise NotJson


# Values are thrown away: pairs need no dict, floats no limit of digits.
_SCANNER: Final = json.JSONDecoder(
    object_pairs_hook=lambda _pairs: None,
    parse_int=lambda _digits: None,
    parse_float=lambda _digits: None,
    parse_constant=_refuse,
)


def flatten(body: bytes) -> list[bytes]:
    """The body's messages; none for an empty array. Raises BadRequest where it is not JSON."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).") from None
    try:
        return _elements(text)
    except (NotJson, ValueError):
        raise BadRequest("The body is not valid JSON.") from None
    except RecursionError:
        return _deep_elements(body)


def _elements(text: str) -> list[bytes]:
    start = _skip(text, 0)
    if text[start : start + 1] != "[":
        end = _scan(text, start)
        _require_end(text, end)
        return [text[start:end].encode()]
    found: list[bytes] = []
    at = _skip(text, start + 1)
    if text[at : at + 1] == "]":
        _require_end(text, at + 1)
        return found
    while True:
        end = _scan(text, at)
        found.append(text[at:end].encode())
        at = _skip(text, end)
        mark = text[at : at + 1]
        if mark == "]":
            _require_end(text, at + 1)
            return found
        if mark != ",":
            raise NotJson
        at = _skip(text, at + 1)


def _scan(text: str, at: int) -> int:
    """The end of the value that begins at ``at``; RecursionError where it may nest too deeply.

    The scanner's own limit is the interpreter's, which an application may have raised.
    """
    _, end = _SCANNER.raw_decode(text, at)
    if end - at > MAX_DEPTH and text.count("[", at, end) + text.count("{", at, end) >= MAX_DEPTH:
        raise RecursionError
    return end


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _require_end(text: str, end: int) -> None:
    if _skip(text, end) != len(text):
        raise NotJson


_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)


def _deep_elements(body: bytes) -> list[bytes]:
    """The same for JSON that nests deeper than the scanner goes: checked whole, then cut."""
    try:
        loads(body)
    except NotJson:
        raise BadRequest(
            f"The body is not valid JSON, or nests deeper than {MAX_DEPTH} levels."
        ) from None
    body = body.strip(b" \t\n\r")
    if body[:1] != b"[":
        return [body]
    found: list[bytes] = []
    depth, start = 0, 1
    for match in _TOKEN.finditer(body):
        mark = match[0]
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        if (mark == b"," and depth == 1) or depth == 0:
            found.append(body[start : match.start()].strip(b" \t\n\r"))
            start = match.end()
    return found
