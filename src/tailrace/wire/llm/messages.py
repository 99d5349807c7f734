"""What the event stream of Anthropic's Messages API means.

Its events are typed (`tailrace.wire.typed`). ``message_stop`` is the end of a whole answer;
``ping`` is a sign of life. Anthropic pads some events with spaces before their last brace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tailrace.wire.json.strict_json import NotJson, members
from tailrace.wire.llm import typed
from tailrace.wire.llm.chunk_text import PLAIN_TEXT, ChunkText, text_value
from tailrace.wire.llm.records import Grammar, Record, RecordKind
from tailrace.wire.sse import SseEvent

_KINDS: Final[Mapping[str, RecordKind]] = MappingProxyType(
    {
        "message_stop": RecordKind.LAST,
        "error": RecordKind.ERROR,
        "ping": RecordKind.PING,
    }
)


def _delta(text: bytes, kind: bytes, name: bytes) -> bytes:
    """A pattern for deltas of one kind, with their members in the order that all servers use."""
    return (
        rb'\{"type": ?"content_block_delta", ?"index": ?(?:0|[1-9][0-9]*+), ?'
        rb'"delta": ?\{"type": ?"' + kind + rb'_delta", ?"' + name + rb'": ?"(' + text + rb')" *+'
        rb"\} *+\}"
    )


def _ordinary(text: bytes) -> bytes:
    """Arguments and thoughts come in deltas, too."""
    return _delta(text, rb"(?:text|thinking|input_json)", rb"(?:text|thinking|partial_json)")


_ORDINARY: Final = re.compile(_ordinary(PLAIN_TEXT))
_ORDINARY_TEXT: Final = re.compile(_delta(PLAIN_TEXT, rb"text", rb"text"))


def _understand(event: SseEvent) -> Record | None:
    return typed.understand(event, _KINDS, _ORDINARY)


GRAMMAR: Final[Grammar] = Grammar(_understand, _ordinary, typed.BEFORE)


def text_reader() -> ChunkText:
    """`text` for the events of one answer."""
    return ChunkText(_ORDINARY_TEXT, text)


def text(data: bytes) -> bytes:
    """The text of a delta of the answer itself, in UTF-8; empty for any other event."""
    try:
        value, encode = text_value(data)
    except NotJson:
        return b""
    event = members(value)
    delta = members(event.get("delta"))
    said = delta.get("text")
    is_text = (event.get("type"), delta.get("type")) == ("content_block_delta", "text_delta")
    return encode(said) if is_text and isinstance(said, str) else b""
