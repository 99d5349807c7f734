"""A streamed answer of the Responses API put together (`tailrace.wire.assembly`).

Where the upstream has said how it ended, the ``response`` of its last event is the result. Until
then, or where it never did, the result is the one that was begun with, and its items: those that
are done as their ``output_item.done`` has them, of the others what their deltas have told.

Items and parts are found by ``item_id``, then by the index, then as the latest: llama.cpp has no
indices.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tailrace.model import EndingKind
from tailrace.wire.llm.assembly import Json, Text, mapping, plain, read, words
from tailrace.wire.text_pieces import TextPieces

_BEGUN: Final = ("response.created", "response.queued", "response.in_progress")
_ENDED: Final = (
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
)


class _Part(NamedTuple):
    """Where the text of a kind of delta belongs: a part in a list of its item's."""

    holder: str
    place: str
    """The event's member that says which part."""
    type: str
    member: str


_PARTS: Final[Mapping[str, _Part]] = MappingProxyType(
    {
        "output_text": _Part("content", "content_index", "output_text", "text"),
        "refusal": _Part("content", "content_index", "refusal", "refusal"),
        "reasoning_text": _Part("content", "content_index", "reasoning_text", "text"),
        "reasoning_summary_text": _Part("summary", "summary_index", "summary_text", "text"),
    }
)
# … or a member of the item itself.
_MEMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "function_call_arguments": "arguments",
        "mcp_call_arguments": "arguments",
        "custom_tool_call_input": "input",
        "code_interpreter_call_code": "code",
    }
)
_HOLDERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "content_part": ("content", "content_index"),
        "reasoning_summary_part": ("summary", "summary_index"),
    }
)


class ResponseAssembly:
    """Events in, ``response`` out."""

    def __init__(self) -> None:
        self._begun: Json = {}
        self._ended: Json | None = None
        self._items: dict[int, Json] = {}
        """Item by ``output_index``, or by the order in which they came."""
        self._done: set[int] = set()

    def add(self, data: bytes) -> None:
        """The data of the stream's next event."""
        event = read(data)
        kind = event.get("type")
        if not isinstance(kind, str):
            return
        if kind in _BEGUN:
            self._begun = mapping(event.get("response"))
        elif kind in _ENDED:
            self._ended = mapping(event.get("response"))
        elif kind.startswith("response."):
            subject, _, step = kind.removeprefix("response.").rpartition(".")
            self._add_step(subject, step, event)

    def _add_step(self, subject: str, step: str, event: Json) -> None:
        if subject == "output_item":
            self._add_item(step, event)
            return
        place = self._place(event)
        if place is None or place in self._done:
            return
        item = self._items[place]
        if subject in _HOLDERS:
            holder, place_name = _HOLDERS[subject]
            parts = _list(item, holder)
            latest = len(parts) if step == "added" else len(parts) - 1
            _put(parts, _index(event.get(place_name), latest), mapping(event.get("part")))
        elif subject in _PARTS:
            where = _PARTS[subject]
            part = _part(_list(item, where.holder), event.get(where.place), where.type)
            _add_text(part, where.member, event)
        elif subject in _MEMBERS:
            _add_text(item, _MEMBERS[subject], event)
        elif subject == "output_text.annotation":
            part = _part(_list(item, "content"), event.get("content_index"), "output_text")
            _list(part, "annotations").append(event.get("annotation"))

    def _add_item(self, step: str, event: Json) -> None:
        item = dict(mapping(event.get("item")))
        place = self._known(item.get("id"))
        if place is None:
            place = _index(event.get("output_index"), len(self._items))
        self._items[place] = item
        if step == "done":
            self._done.add(place)

    def _place(self, event: Json) -> int | None:
        place = self._known(event.get("item_id"))
        index = event.get("output_index")
        if place is None and isinstance(index, int) and index in self._items:
            return index
        return next(reversed(self._items), None) if place is None else place

    def _known(self, ident: object) -> int | None:
        if ident is None:
            return None
        # An answer has few items, and the latest is the one that is spoken of.
        return next((n for n, it in reversed(self._items.items()) if it.get("id") == ident), None)

    def result(self, ending: EndingKind | None, reason: str, text: Text = str) -> Json:
        """The answer as far as it has come; None: it goes on."""
        if self._ended is not None:
            return dict(self._ended)
        response: Json = {"object": "response", "status": "in_progress", **self._begun}
        response["output"] = [self._item(place, ending, text) for place in sorted(self._items)]
        if ending is EndingKind.CANCELLED:
            response["status"] = "cancelled"
        elif ending is EndingKind.COMPLETED:
            response["status"] = "completed"
        elif ending is not None:
            response["status"] = "failed"
            response["error"] = {"code": "server_error", "message": words(ending, reason)}
        return response

    def _item(self, place: int, ending: EndingKind | None, text: Text) -> Json:
        item: Json = plain(self._items[place], text)
        if ending is not None and place not in self._done and "status" in item:
            item["status"] = "incomplete"
        return item


def _index(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def _list(holder: Json, name: str) -> list[Any]:
    """The list that is, or becomes, a member of an object."""
    held = holder.get(name)
    holder[name] = entries = held if isinstance(held, list) else []
    return entries


def _put(parts: list[Json], place: int, part: Json) -> None:
    if 0 <= place < len(parts):
        parts[place] = part
    else:
        parts.append(part)


def _part(parts: list[Json], place: object, kind: str) -> Json:
    """The part at that place, or the latest; a new one where there is none."""
    index = _index(place, len(parts) - 1)
    if 0 <= index < len(parts) and isinstance(parts[index], dict):
        return parts[index]
    part: Json = {"type": kind}
    parts.append(part)
    return part


def _add_text(into: Json, member: str, event: Mapping[str, Any]) -> None:
    delta, whole = event.get("delta"), event.get(member)
    if isinstance(delta, str):
        held = into.get(member)
        if not isinstance(held, TextPieces):
            into[member] = held = TextPieces(held if isinstance(held, str) else "")
        held.add(delta)
    elif isinstance(whole, str):  # …done
        into[member] = whole
