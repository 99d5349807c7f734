"""Patterns for parts of a JSON text (RFC 8259), over bytes: whole tokens, and runs of entries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, NoReturn

from tailrace.wire.json.strict_json import NotJson

QUOTE, COMMA, COLON, ARRAY, OBJECT = b'",:[{'
CLOSING: Final = MappingProxyType({ARRAY: ord("]"), OBJECT: ord("}")})
"""The closing bracket for each opening one."""
ESCAPE_ROOM: Final = 6
"""Bytes of the longest escape; one that was cut is shorter."""

_SPACE: Final = rb"[ \t\n\r]*+"
_ESCAPE: Final = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_STRING: Final = rb'"(?:[^"\\\x00-\x1f]++|' + _ESCAPE + rb')*"'
_NUMBER: Final = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_WORD: Final = rb"true|false|null"
_SCALAR: Final = b"(?:" + _STRING + b"|" + _NUMBER + b"|" + _WORD + b")"


def _value(levels: int) -> bytes:
    """A pattern for a value that nests no deeper.

    Groups are not repeated possessively, although they could be: Python below 3.11.5 then finds
    no match (gh-106052).
    """
    if not levels:
        return _SCALAR
    inner = _value(levels - 1) + _SPACE
    name = _STRING + _SPACE + b":" + _SPACE

    def container(opening: bytes, entry: bytes, closing: bytes) -> bytes:
        more = b"(?:," + _SPACE + b"(?!" + closing + b")|(?=" + closing + b"))"
        return opening + _SPACE + b"(?:" + entry + more + b")*" + closing

    array = container(rb"\[", inner, rb"\]")
    members = container(rb"\{", name + inner, rb"\}")
    return b"(?:" + _SCALAR + b"|" + array + b"|" + members + b")"


def _refuse(constant: str) -> NoReturn:
    raise NotJson(constant)


_RUN: Final = _SPACE + _value(1) + _SPACE + b","
match_values: Final = re.compile(b"(?:" + _RUN + b")*").match
"""As many values as follow one another, each with its comma, that hold no containers of containers.
"""
match_members: Final = re.compile(b"(?:" + _SPACE + _STRING + _SPACE + b":" + _RUN + b")*").match
"""The same for members of an object."""
match_space: Final = re.compile(_SPACE).match
match_string: Final = re.compile(_STRING).match
match_string_part: Final = re.compile(rb'(?:[^"\\\x00-\x1f]++|' + _ESCAPE + b")*").match
"""What may stand between the quotes of a string."""
match_atom: Final = re.compile(_NUMBER + b"|" + _WORD).match
match_constant: Final = re.compile(rb"NaN|-?Infinity").match
"""What other languages' numbers have, and JSON's not."""
match_closing: Final = re.compile(rb"\]+").match


def _between(name: bytes) -> Callable[[str, int], re.Match[str] | None]:
    pattern = _SPACE + b"," + _SPACE + name + rb"(?=[\[{])"
    return re.compile(pattern.decode("latin-1")).match


match_between: Final = MappingProxyType(
    {ARRAY: _between(b""), OBJECT: _between(_STRING + _SPACE + b":" + _SPACE)}
)
"""What is between a value and a container behind it, in text in which each byte is a character."""

# Values are thrown away.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=len, parse_int=float, parse_constant=_refuse)


def end_of_value(text: str, start: int) -> int:
    """Just after the container that begins there; 0: it is not whole, or not JSON."""
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return 0
