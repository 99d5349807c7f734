"""Members of a JSON object set or taken out, every other byte kept as it came. Sans-I/O.

A request's body goes on to the model API with its spaces, its numbers and its order of members:
a prompt cache keys on bytes, and 1.0 need not mean what 1 does. So the body is not written anew;
the places of its top-level members are found once (`tailrace.wire.json_scan`), and bytes are put in
or cut out between them.

    a member that stands twice    both are set, or both taken out: parsers differ in which of
                                  them counts (RFC 8259 §4)
    an escaped name ("\\u006dodel")  is the name that it spells
    a value                       is passed over, whatever it is; only its grammar is checked
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Self, TypeAlias

from tailrace.errors import BadRequest
from tailrace.wire.json.grammar import OBJECT
from tailrace.wire.json.scan import TooManyEntries, check_utf8, name_of, scan
from tailrace.wire.json.strict_json import NotJson
from tailrace.wire.slices import Work

MAX_MEMBERS: Final = 1000
"""Members of a request's object: ten times what the largest API has. Each costs 300 bytes."""

# Up to here a place is said as line and column. Further in nobody counts lines.
_COUNTED: Final = 64 * 1024
_OPENING: Final = re.compile(rb"[ \t\n\r]*\{")


Spans: TypeAlias = Sequence[tuple[int, int]]
"""From where to where some things stand, in their order."""


class Member(NamedTuple):
    """One member of an object: where it stands in the bytes."""

    name: str
    start: int
    """Where its name's opening quote stands."""
    value: int
    """Where its value begins."""
    end: int
    """Just after its value."""


class JsonObject(NamedTuple):
    """The bytes of a JSON object, and where its top-level members stand, in their order."""

    data: bytes
    members: tuple[Member, ...]

    def values(self, name: str) -> Spans:
        """From where to where the values of the members of that name stand."""
        return tuple((each.value, each.end) for each in self.members if each.name == name)

    def get(self, name: str) -> bytes | None:
        """The value of a member as it stands there; None where there is none.

        Of several equal names the last, as most parsers have it.
        """
        spans = self.values(name)
        return self.data[spans[-1][0] : spans[-1][1]] if spans else None

    def with_member(self, name: str, json_value: bytes) -> Self:
        """The object with that member's value replaced, or with the member added at its end.

        ``json_value`` is JSON already, in UTF-8, and not checked.
        """
        if spans := self.values(name):
            return self._with_values(spans, name, json_value)
        added = b"%b:%b" % (json.dumps(name).encode(), json_value)
        if self.members:
            at, comma = self.members[-1].end, 1
        else:
            opening = _OPENING.match(self.data)
            at, comma = opening.end() if opening else 0, 0
        data = b"".join([self.data[:at], b"," * comma, added, self.data[at:]])
        start, end = at + comma, at + comma + len(added)
        member = Member(name, start, end - len(json_value), end)
        return type(self)(data, (*self.members, member))

    def without_member(self, name: str) -> Self:
        """The object without that member, and without the comma that it needed."""
        members = self.members
        spans: list[tuple[int, int]] = []
        kept_before = False
        for index, member in enumerate(members):
            if member.name != name:
                kept_before = True
            elif kept_before:
                spans.append((members[index - 1].end, member.end))
            else:
                last = index + 1 == len(members)
                spans.append((member.start, member.end if last else members[index + 1].start))
        return self._without(spans, name) if spans else self

    def _with_values(self, spans: Spans, name: str, json_value: bytes) -> Self:
        members = []
        shift = 0
        for each in self.members:
            start, value, end = each.start + shift, each.value + shift, each.end + shift
            if each.name == name:
                shift += len(json_value) - (end - value)
                end = value + len(json_value)
            members.append(Member(each.name, start, value, end))
        return type(self)(replace_spans(self.data, spans, json_value), tuple(members))

    def _without(self, spans: Spans, name: str) -> Self:
        members = []
        cut = done = 0
        for each in self.members:
            if each.name == name:
                continue
            while done < len(spans) and spans[done][1] <= each.start:
                cut += spans[done][1] - spans[done][0]
                done += 1
            start, value, end = each.start - cut, each.value - cut, each.end - cut
            members.append(Member(each.name, start, value, end))
        return type(self)(replace_spans(self.data, spans, b""), tuple(members))


def replace_spans(data: bytes, spans: Spans, by: bytes) -> bytes:
    """``data`` with every one of these spans, which are in order, replaced."""
    pieces: list[bytes] = []
    done = 0
    for start, end in spans:
        pieces += data[done:start], by
        done = end
    return b"".join([*pieces, data[done:]])


def read_object(body: bytes) -> Work[JsonObject]:
    """The one JSON object that ``body`` spells.

    Raises BadRequest, with the position, where it is none, or is not UTF-8, nests too deeply, or
    has more than MAX_MEMBERS members.
    """
    try:
        yield from check_utf8(body)
        found = yield from scan(body, OBJECT, MAX_MEMBERS)
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).") from None
    except NotJson as error:
        why, at = error.args
        raise BadRequest(f"The body is not valid JSON: {why} at {_place(body, at)}.") from None
    except TooManyEntries:
        raise BadRequest(
            f"The body's JSON object has more than {MAX_MEMBERS} members; send fewer."
        ) from None
    if body[found.start : found.start + 1] != b"{":
        raise BadRequest("The body must be a JSON object.")
    members = tuple(
        Member(name_of(body, each), each.name, each.start, each.end) for each in found.entries
    )
    return JsonObject(body, members)


def _place(body: bytes, at: int) -> str:
    if at > _COUNTED:
        return f"byte {at}"
    before = body[:at].decode("utf-8", "replace")
    column = len(before) - before.rfind("\n")
    return f"line {before.count(chr(10)) + 1}, column {column}"
