"""JSON as RFC 8259 has it and no more, from bytes that strangers sent.

The standard library's scanner is fast but lenient, and fails in ways of its own: it takes NaN
and Infinity, forgets all but the last of equal members, refuses integers over 4300 digits,
and runs out of stack at a nesting that depends on its caller's. Here each of these has one
answer:

    NaN, Infinity         not JSON
    equal member names    all are kept: an object is a tuple of (name, value) pairs
    numbers               floats: nobody who reads through here needs one's exact value
    bytes that are no     part of the text, each as one lone surrogate U+DC80..U+DCFF (PEP 383),
    UTF-8                 so that a reader can put whatever it likes in their place
    nesting               up to MAX_DEPTH, whoever calls
    values                up to MAX_VALUES in a large text: a value may take thirty times the memory
                          of its bytes, and half a microsecond to make
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn, TypeAlias

Value: TypeAlias = "bool | float | str | list[Value] | Object | None"
Object: TypeAlias = "tuple[tuple[str, Value], ...]"

# What Go's encoding/json allows, so that the two agree on every document (go.dev/issue/31789).
MAX_DEPTH: Final = 10_000
# Levels that are given to the scanner at once: far below the interpreter's limit of 1000 calls,
# a good part of which may be in use already.
_STEP: Final = 100
_WHITESPACE: Final = " \t\n\r"

LARGE: Final = 64 * 1024
"""Bytes of a text whose values are not counted: more than 33 000 do not fit."""
MAX_VALUES: Final = 20_000
"""Values of a large text. Most events have 20; the log probabilities of a whole answer of 1000
tokens, or 20 000 numbers of tokens, are as many. Reading them takes 20 ms at worst."""

# Each value but the first has one of these before it, or a name.
_MARKS: Final = (b",", b"[", b"{")
# Strings are matched in order to be passed over: a bracket in one means nothing. One that does not
# end takes all that is left: whoever began again at each of its quotes would never come to an end.
_STRING: Final = r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_STRING_OR_BRACKET: Final = re.compile(_STRING + r"|[\[\]{}]", re.DOTALL)
_find_strings: Final = re.compile(_STRING.encode(), re.DOTALL).finditer


class NotJson(ValueError):
    """The bytes are not one JSON value, or nest too deeply."""


class TooManyValues(NotJson):
    """The bytes may be JSON, but of more values than are read."""


def _refuse(_constant: str) -> NoReturn:
    raise NotJson


# parse_int=float also avoids the limit on digits: float() has none.
_SCANNER: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_int=float, parse_constant=_refuse)


def loads(data: bytes, *, most: int = MAX_VALUES, latin: bool = False) -> Value:
    """The one JSON value that ``data`` spells.

    ``most``: values that a text of more than ``LARGE`` bytes may have. ``latin``: each byte of a
    string that is not ASCII becomes a character of its own, as in Latin-1: for who reads names and
    words that are ASCII. One emoji would otherwise make each character of a text take four bytes.
    Raises NotJson, or its TooManyValues, and nothing else.
    """
    if has_more_values(data, most):
        raise TooManyValues
    text = data.decode("latin-1") if latin else data.decode("utf-8", "surrogateescape")
    text = text.strip(_WHITESPACE)
    # Python 3.12 and later limit the depth of C code by other rules, which may lie past ours.
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        return _scan_deep(text)
    try:
        return _scan(text)
    except RecursionError:
        return _scan_deep(text)


def _scan(text: str) -> Value:
    value: Value
    try:
        value, end = _SCANNER.raw_decode(text)
    except ValueError:
        raise NotJson from None
    if end != len(text):
        raise NotJson
    return value


def _scan_deep(text: str) -> Value:
    """The same for any nesting: what lies deeper than _STEP levels is checked, not kept.

    The text is cut so that each piece is one container with at most _STEP levels, in which a
    ``null`` stands for every container that begins a further piece. ``null`` is part of no
    longer token, so a piece is JSON exactly if it was with that container in its place.
    """
    depth = start = 0
    pieces: list[list[str]] = [[]]
    for match in _STRING_OR_BRACKET.finditer(text):
        mark = match[0]
        if mark in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJson
            if depth % _STEP == 0:
                pieces[-1] += text[start : match.start()], "null"
                pieces.append([])
                start = match.start()
        elif mark in ("]", "}"):
            if depth == 0:
                raise NotJson
            if depth % _STEP == 0:
                _scan("".join([*pieces.pop(), text[start : match.end()]]))
                start = match.end()
            depth -= 1
    if depth:
        raise NotJson
    return _scan("".join([*pieces.pop(), text[start:]]))


def has_more_values(data: bytes, most: int) -> bool:
    """Whether ``data``, if it is JSON, is of more than ``LARGE`` bytes and ``most`` values.

    It is told by commas and opening brackets, and no value is made. Names of members do not count.
    """
    if len(data) <= LARGE or sum(map(data.count, _MARKS)) <= most:
        return False
    count = end = 0  # now without those in strings
    for number, match in enumerate(_find_strings(data)):
        start, after = match.span()
        count += sum(data.count(mark, end, start) for mark in _MARKS)
        if count > most or number > 2 * most:  # a member is two strings and a comma
            return True
        end = after
    return count + sum(data.count(mark, end) for mark in _MARKS) > most


def is_deeper(text: str, levels: int) -> bool:
    """Whether ``text``, if it is JSON, nests more deeply than that."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += 1 if match[0] in ("[", "{") else -1 if match[0] in ("]", "}") else 0
        if depth > levels:
            return True
    return False


def members(value: Value) -> dict[str, Value]:
    """The members of an object, the last of those with one name; none of any other value."""
    return dict(value) if isinstance(value, tuple) else {}
