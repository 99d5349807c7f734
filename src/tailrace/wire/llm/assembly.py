"""A streamed answer put together: the object that its API would have given without streaming.

Events are added one by one; at any place between two there is a result. Text is kept in the
pieces in which it came until somebody wants the result, so that the work is linear in the
answer, whatever its length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from tailrace.model import EndingKind
from tailrace.wire.json import strict_json
from tailrace.wire.text_pieces import TextPieces

Json: TypeAlias = "dict[str, Any]"
Text: TypeAlias = "Callable[[TextPieces], object]"

# Beyond this int() is slow and, from 4300 digits on, refuses; nothing here counts so far.
_DIGITS: Final = 400
# An answer's own objects have about ten levels. More than this, and some recursion of whoever
# handles it may not end well.
_DEPTH: Final = 100
# What is said once, or again and again, but never in pieces.
_SAID_ONCE: Final = frozenset({"role", "id", "type", "name", "format"})


class AnswerAssembly(Protocol):
    """An answer of one API in the making."""

    def add(self, data: bytes) -> None:
        """The data of the stream's next event. What cannot be read adds nothing."""
        ...

    def result(self, ending: EndingKind | None, reason: str, text: Text = ...) -> Json:
        """The answer as far as it has come, and what became of it; None: it goes on.

        ``text`` makes of a text in pieces what stands in the answer: a string, or itself.
        """
        ...


def unjoined(pieces: TextPieces) -> TextPieces:
    """A ``Text`` that leaves it in pieces, for who writes it a part at a time."""
    return pieces


class ByIndex(dict[int, Any]):
    """A list in the making, of which later deltas speak by index."""


def read(data: bytes) -> Json:
    """The JSON object in ``data``; empty for anything else, and for a large one of more values
    than are read. Bad UTF-8 becomes U+FFFD."""
    if strict_json.has_more_values(data, strict_json.MAX_VALUES):
        return {}
    by_bytes = len(data) > strict_json.LARGE and not data.isascii() and b"\\u" not in data
    text = data.decode("latin-1") if by_bytes else data.decode("utf-8", "replace")
    if strict_json.is_deeper(text, _DEPTH):
        return {}
    try:
        value = json.loads(text, parse_int=_number)
    except ValueError:
        return {}
    del text
    value = value if isinstance(value, dict) else {}
    return _decoded(value) if by_bytes else value


def _decoded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A copy in which the strings that were made of bytes are text.

    Read as text at once, one emoji would have all of a large event take four bytes a character,
    twice.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("latin-1").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_decoded(name): _decoded(member) for name, member in value.items()}
    return [_decoded(each) for each in value] if isinstance(value, list) else value


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def mapping(value: object) -> Json:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def merge(into: Json, delta: Mapping[str, Any]) -> None:
    """Add what a delta says: text to text, entries to lists, members to objects.

    Null leaves alone what is there. Lists whose entries have an ``index`` are merged entry by
    entry: they are kept as a dict by index.
    """
    for name, value in delta.items():
        held = into.get(name)
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, str):
            _merge_text(into, name, value)
        elif isinstance(value, dict):
            inner = held if isinstance(held, dict) and not isinstance(held, ByIndex) else {}
            merge(inner, value)
            into[name] = inner
        elif isinstance(value, list):
            into[name] = _merge_list(held, value)
        else:
            into[name] = value


def _merge_text(into: Json, name: str, value: str) -> None:
    held = into.get(name)
    if name in _SAID_ONCE:
        into[name] = held or value
    elif isinstance(held, TextPieces):
        held.add(value)
    else:
        into[name] = TextPieces(value)


def _merge_list(held: object, value: list[Any]) -> object:
    if not value:
        return held if isinstance(held, list | ByIndex) else []
    if not all(isinstance(each, dict) and isinstance(each.get("index"), int) for each in value):
        if not isinstance(held, list):
            return list(value)
        held.extend(value)  # it is ours: made for the first of them
        return held
    entries = held if isinstance(held, ByIndex) else ByIndex()
    for each in value:
        merge(entries.setdefault(each["index"], {}), each)
    return entries


def plain(value: Any, text: Text, *, without: str = "") -> Any:  # noqa: ANN401 - any JSON
    """A copy in which lists are lists, their entries ``without`` this name, and text is as
    ``text`` makes it."""
    if isinstance(value, TextPieces):
        return text(value)
    if isinstance(value, ByIndex):
        entries = [plain(value[index], text) for index in sorted(value)]
        return [{k: v for k, v in each.items() if k != without} for each in entries]
    if isinstance(value, dict):
        return {name: plain(member, text, without=without) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(each, text, without=without) for each in value]
    return value


def words(ending: EndingKind, reason: str) -> str:
    """A sentence for an ending that is an error."""
    return reason or f"The answer ended: {ending}."
