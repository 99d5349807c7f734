"""Where the parts of a JSON text stand, found without making a value of any. Sans-I/O.

A parsed value may take many times the memory of its text: ``[],`` is three bytes, and an empty
list has 56. A scan checks the whole text against RFC 8259, keeps one byte for each open bracket
and the places of the outermost container's entries, and works in slices.

    step      it passes over                               next
    --------  -------------------------------------------  -------------------------------------
    _value    a short value, or a long string              what comes behind a value
    _value    the bracket that opens a long container      _first
    _first    the bracket that closes it                   what comes behind a value
    _first    an entry, as _entry does
    _entry    in an inner container, a run of entries      _entry
    _entry    a value, as _value does; or a name           _colon
    _colon    a colon                                      _value
    _next     a comma                                      _entry
    _next     closing brackets                             what comes behind a value

What comes behind a value is _next in a container, else _last: only white space may be left.

Nearly all of a text is passed over at the speed of C: runs of entries that nest no more than one
level by one pattern, any other value that is short by the standard library's scanner, which then
holds that one value. Only what is neither is looked at token by token.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from tailrace.wire.json import grammar
from tailrace.wire.json.grammar import ARRAY, CLOSING, COLON, COMMA, ESCAPE_ROOM, QUOTE
from tailrace.wire.json.strict_json import NotJson, is_deeper
from tailrace.wire.slices import Work

# Bytes that a pattern is given at once: it may look at all of them several times, in vain.
_SLICE: Final = 1024
# Bytes of a string or of white space that are passed over at once, which costs next to nothing.
_PLAIN_SLICE: Final = 4 * 1024
# Bytes between two yields, if they were not plain: about a third of a millisecond.
_STRIDE: Final = 4 * 1024
# Single tokens between two yields; each takes about a microsecond.
_STEPS: Final = 100
# Digits are matched in one go. No double has more than 800 that matter.
_LONGEST_NUMBER: Final = 16 * 1024
MAX_DEPTH: Final = 128
"""Levels that a body may nest, as in Rust's serde_json; a tool's schema has about ten."""

# Bytes of a name that is spelled out; a longer one is no name that anybody asks for.
_LONGEST_NAME: Final = 256
# Bytes that are decoded at once, to see whether they are UTF-8.
_TEXT_SLICE: Final = 64 * 1024

_Step: TypeAlias = Callable[[], Any]


class TooManyEntries(Exception):
    """The outermost container has more entries than may be."""


class Entry(NamedTuple):
    """One entry of the outermost container. All of these are offsets in the text."""

    name: int
    """Where its name's opening quote stands; where the value does, in an array."""
    name_end: int
    """Just after the name's closing quote; as ``name`` in an array."""
    start: int
    """Where its value begins."""
    end: int
    """Just after its value."""


class Scan(NamedTuple):
    """What a text spells."""

    start: int
    """Where its one value begins: what is before is white space."""
    end: int
    """Just after it."""
    entries: list[Entry]
    """None where the value is no container of the wanted kind."""


def scan(data: bytes, kind: int, most: int) -> Work[Scan]:
    """Check that ``data`` is one JSON value, of whatever bytes its strings are made.

    ``kind``: the opening bracket of the containers whose entries are wanted, where one is the
    outermost; ``most``: how many it may have. Raises NotJson, with the reason and the offset, or
    TooManyEntries.
    """
    return _Scanner(data, kind, most).run()


def check_utf8(data: bytes) -> Work[None]:
    """Raises UnicodeDecodeError, whose ``start`` is an offset in ``data``."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _TEXT_SLICE):
        piece = data[start : start + _TEXT_SLICE]
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(piece, final=start + _TEXT_SLICE >= len(data))
        except UnicodeDecodeError as error:
            at = start - held + error.start
            raise UnicodeDecodeError("utf-8", data, at, at + 1, error.reason) from None
        yield


def name_of(data: bytes, entry: Entry) -> str:
    """The name of an object's entry; empty for one that is very long."""
    if entry.name_end - entry.name > _LONGEST_NAME:
        return ""
    quoted = data[entry.name : entry.name_end].decode("utf-8", "surrogateescape")
    name: str = json.loads(quoted)
    return name


class _Scanner:
    """One text being scanned. A step passes over one token, or run, and returns the next step."""

    def __init__(self, data: bytes, kind: int, most: int) -> None:
        self._data = data
        self._kind = kind
        self._most = most
        self._at = 0
        self._start = self._end = 0
        self._stack = bytearray()
        """The opening brackets of the containers that are open."""
        self._entries: list[Entry] = []
        self._name = self._name_end = self._value_start = 0
        """Of the entry whose value has not ended."""
        self._wanted = 0
        """The depth at which entries are wanted; 0: nowhere."""
        self._in_string = self._in_name = False
        self._window = ""
        self._window_at = 0
        """Where in the text the window begins."""
        self._failures = 0

    def run(self) -> Work[Scan]:
        step: _Step | None = self._outermost
        looked = steps = 0
        while step is not None:
            if steps == _STEPS or self._at - looked >= _STRIDE:
                looked, steps = self._at, 0
                yield
            steps += 1
            if self._in_string or not self._skip_space():
                step = step()
        return Scan(self._start, self._end, self._entries)

    def _wrong(self, why: str) -> NotJson:
        return NotJson(why, self._at)

    def _mark(self) -> int:
        """The next byte. Raises NotJson where there is none."""
        if self._at == len(self._data):
            raise self._wrong("it ends too early")
        return self._data[self._at]

    def _skip_space(self) -> bool:
        """Pass over white space; True: there may be more of it."""
        before = self._at
        match = grammar.match_space(self._data, before, before + _PLAIN_SLICE)
        self._at = match.end() if match else before
        return self._at == before + _PLAIN_SLICE

    # --- values -------------------------------------------------------------------------------

    def _outermost(self) -> _Step | None:
        self._start = self._at
        self._wanted = int(self._mark() == self._kind)
        return self._value()

    def _value(self) -> _Step | None:
        if len(self._stack) == self._wanted:
            self._value_start = self._at
        mark = self._mark()
        if mark in CLOSING:
            short = self._stack and self._is_short()
            return self._after_value() if short else self._open(mark)
        if mark == QUOTE:
            return self._string()
        at = self._at
        match = grammar.match_atom(self._data, at, at + _LONGEST_NUMBER)
        if match is None:
            raise self._no_value()
        self._at = match.end()
        if self._at == at + _LONGEST_NUMBER:
            raise self._wrong(f"a number has more than {_LONGEST_NUMBER} digits")
        return self._after_value()

    def _no_value(self) -> NotJson:
        constant = grammar.match_constant(self._data, self._at)
        if constant is not None:
            return self._wrong(f"{constant[0].decode()} is no JSON number")
        return self._wrong("a value is missing")

    def _after_value(self) -> _Step | None:
        depth = len(self._stack)
        if not depth:
            self._end = self._at
            return self._last
        if depth == self._wanted:
            self._entries.append(Entry(self._name, self._name_end, self._value_start, self._at))
        return self._next

    def _last(self) -> None:
        if self._at < len(self._data):
            raise self._wrong("there is more behind the value")

    # --- short values -------------------------------------------------------------------------

    def _is_short(self) -> bool:
        """Pass over the container that begins here, if the scanner takes it; False: it is long,
        or wrong, which is then found out token by token."""
        at = self._at
        offset = at - self._window_at
        end = grammar.end_of_value(self._window, offset) if offset < len(self._window) else 0
        if not end:
            # A scan that fails may have looked at a whole window: not more often than this.
            if self._failures * _SLICE > at:
                return False
            offset, self._window_at = 0, at
            # One character for each byte: no token but a string has any that is not ASCII.
            self._window = self._data[at : at + _SLICE].decode("latin-1")
            end = grammar.end_of_value(self._window, 0)
        if not end or self._is_deep(offset, end):
            self._failures += 1
            return False
        if len(self._stack) != self._wanted:
            end = self._end_of_row(end)
        self._at = self._window_at + end
        return True

    def _end_of_row(self, end: int) -> int:
        """Just after the last of the short containers that follow one another at once."""
        window = self._window
        matching = grammar.match_between[self._stack[-1]]
        while match := matching(window, end):
            start = match.end()
            after = grammar.end_of_value(window, start)
            if not after or self._is_deep(start, after):
                break
            end = after
        return end

    def _is_deep(self, start: int, end: int) -> bool:
        """Whether a value in the window nests deeper than may be. A level is two bytes."""
        room = MAX_DEPTH - len(self._stack)
        return end - start > 2 * room and is_deeper(self._window[start:end], room)

    # --- strings ------------------------------------------------------------------------------

    def _string(self) -> _Step | None:
        match = grammar.match_string(self._data, self._at, self._at + _SLICE)
        if match is not None:
            self._at = match.end()
            return self._after_string()
        self._at += 1
        self._in_string = True
        return self._string_part

    def _string_part(self) -> _Step | None:
        data, at = self._data, self._at
        match = grammar.match_string_part(data, at, at + _PLAIN_SLICE)
        self._at = after = match.end() if match else at
        if data[after : after + 1] == b'"':
            self._at += 1
            self._in_string = False
            return self._after_string()
        if after == at or after < at + _PLAIN_SLICE - ESCAPE_ROOM:
            raise self._wrong("a string does not end, or holds what must be escaped")
        return self._string_part

    def _after_string(self) -> _Step | None:
        if not self._in_name:
            return self._after_value()
        self._in_name = False
        if len(self._stack) == self._wanted:
            self._name_end = self._at
        return self._colon

    # --- containers ---------------------------------------------------------------------------

    def _open(self, kind: int) -> _Step:
        self._stack.append(kind)
        self._at += 1
        if len(self._stack) > MAX_DEPTH:
            raise self._wrong(f"nested too deeply, over {MAX_DEPTH} levels")
        return self._first

    def _first(self) -> _Step | None:
        """Behind an opening bracket."""
        kind = self._stack[-1]
        return self._close() if self._mark() == CLOSING[kind] else self._entry()

    def _entry(self) -> _Step | None:
        """One entry; where nobody wants their places, as many as one pattern knows."""
        in_array = self._stack[-1] == ARRAY
        if len(self._stack) != self._wanted:
            matching = grammar.match_values if in_array else grammar.match_members
            match = matching(self._data, self._at, self._at + _SLICE)
            if match is not None and match.end() > self._at:
                self._at = match.end()
                return self._entry
        elif len(self._entries) == self._most:
            raise TooManyEntries
        else:
            self._name = self._name_end = self._at
        if in_array:
            return self._value()
        if self._mark() != QUOTE:
            raise self._wrong("a name in quotes is missing")
        self._in_name = True
        return self._string()

    def _colon(self) -> _Step:
        if self._mark() != COLON:
            raise self._wrong("a colon is missing")
        self._at += 1
        return self._value

    def _next(self) -> _Step | None:
        """Behind a value in a container."""
        mark = self._mark()
        if mark == COMMA:
            self._at += 1
            return self._entry
        if mark != CLOSING[self._stack[-1]]:
            raise self._wrong("a comma or a closing bracket is missing")
        return self._close()

    def _close(self) -> _Step | None:
        """Close the innermost container, and those around it whose brackets follow at once."""
        stack = self._stack
        arrays = len(stack) - max(1, len(stack.rstrip(b"[")))
        closed = 1
        if arrays > 1:
            match = grammar.match_closing(self._data, self._at, self._at + min(_SLICE, arrays))
            closed = match.end() - self._at if match else 1
        self._at += closed
        del stack[-closed:]
        return self._after_value()
