"""Members of a JSON object set or taken out, every other byte kept as it came. Sans-I/O.

A request's body goes on to the model API with its spaces, its numbers and its order of members:
a prompt cache keys on bytes, and 1.0 need not mean what 1 does. So the body is not written anew;
the spans of its top-level members are found by the standard library's scanner, and text is put
in or cut out between them.

    a member that stands twice    both are set, or both taken out: parsers differ in which of
                                  them counts (RFC 8259 §4)
    an escaped name ("\\u006dodel")  is the name that it spells
    a value                       is passed over, whatever it is; only its grammar is checked
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple, NoReturn

from tailrace.errors import BadRequest

_SPACE: Final = re.compile(r"[ \t\n\r]*")


def _refuse(constant: str) -> NoReturn:
    raise BadRequest(f"The body is not valid JSON: {constant} is no JSON number.")


# Values are thrown away. int() has a limit of digits, float() none.
_SCANNER: Final = json.JSONDecoder(
    object_pairs_hook=lambda _pairs: None, parse_int=float, parse_constant=_refuse
)


class Member(NamedTuple):
    """One member of an object: where it stands, in characters of the decoded text."""

    name: str
    start: int
    """Where its name's opening quote stands."""
    value: int
    """Where its value begins."""
    end: int
    """Just after its value."""


def members(text: str) -> list[Member]:
    """The top-level members of the object that ``text`` spells, in their order.

    Raises BadRequest where it is not one JSON object, or nests deeper than the interpreter's
    scanner goes (some hundreds of levels).
    """
    try:
        return _members(text)
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"The body is not valid JSON: {error.msg} at {position}.") from None
    except RecursionError:
        raise BadRequest("The body's JSON is nested too deeply.") from None


def get_member(body: bytes, name: str) -> bytes | None:
    """The value of a member as it stands in ``body``; None where there is none.

    Of several equal names the last, as most parsers have it. Raises BadRequest as ``members``.
    """
    text = _decode(body)
    values = [text[member.value : member.end] for member in members(text) if member.name == name]
    return values[-1].encode() if values else None


def set_member(body: bytes, name: str, json_value: bytes) -> bytes:
    """``body`` with that member's value replaced, or with the member added at its end.

    ``json_value`` is JSON already, in UTF-8, and not checked. Raises BadRequest as ``members``.
    """
    text, value = _decode(body), json_value.decode()
    found = members(text)
    spans = [(member.value, member.end) for member in found if member.name == name]
    if spans:
        return _replace(text, spans, value)
    added = f"{json.dumps(name)}:{value}"
    if found:
        at, added = found[-1].end, f",{added}"
    else:
        at = text.index("{") + 1
    return _replace(text, [(at, at)], added)


def without_member(body: bytes, name: str) -> bytes:
    """``body`` without that member, and without the comma that it needed; ``body`` itself where
    there is none. Raises BadRequest as ``members``.
    """
    text = _decode(body)
    found = members(text)
    spans: list[tuple[int, int]] = []
    kept_before = False
    for index, member in enumerate(found):
        if member.name != name:
            kept_before = True
        elif kept_before:
            spans.append((found[index - 1].end, member.end))
        else:
            last = index + 1 == len(found)
            spans.append((member.start, member.end if last else found[index + 1].start))
    return _replace(text, spans, "") if spans else body


def _replace(text: str, spans: list[tuple[int, int]], replacement: str) -> bytes:
    """``text`` with every one of these spans, which are in order, replaced."""
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        pieces += text[done:start], replacement
        done = end
    return "".join([*pieces, text[done:]]).encode()


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).") from None


def _members(text: str) -> list[Member]:
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        _SCANNER.raw_decode(text, at)  # no JSON at all is said so, with its position
        raise BadRequest("The body must be a JSON object.")
    found: list[Member] = []
    at = _skip(text, at + 1)
    closed = text[at : at + 1] == "}"
    while not closed:
        found.append(_member(text, at))
        at = _skip(text, found[-1].end)
        mark = text[at : at + 1]
        if mark not in (",", "}"):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        closed = mark == "}"
        if not closed:
            at = _skip(text, at + 1)
    at = _skip(text, at + 1)
    if at != len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return found


def _member(text: str, start: int) -> Member:
    if text[start : start + 1] != '"':
        raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, start)
    name, end = _SCANNER.raw_decode(text, start)
    at = _skip(text, end)
    if text[at : at + 1] != ":":
        raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
    value = _skip(text, at + 1)
    _, end = _SCANNER.raw_decode(text, value)
    return Member(name, start, value, end)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
