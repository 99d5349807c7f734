"""What the event stream of OpenAI's Responses API means.

Its events are typed (`tailrace.wire.typed`). ``response.completed`` and ``response.incomplete``
(stopped at a limit, as ``finish_reason: length`` says it elsewhere) are whole answers. OpenAI's
server sends ``keepalive`` events, which its documentation does not know, and which some versions
of its own SDK take for an error (openai-node #1964): a sign of life, not kept. OpenAI numbers
events and adds ``obfuscation``, random characters that hide the length of a delta; other
servers do neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tailrace.wire.json.strict_json import NotJson, members
from tailrace.wire.llm import typed
from tailrace.wire.llm.chunk_text import (
    PLAIN_TEXT,
    ChunkText,
    plain_member,
    plain_object,
    text_value,
)
from tailrace.wire.llm.records import Grammar, Record, RecordKind
from tailrace.wire.sse import SseEvent

_TEXT_DELTA: Final = "response.output_text.delta"
_KINDS: Final[Mapping[str, RecordKind]] = MappingProxyType(
    {
        "response.completed": RecordKind.LAST,
        "response.incomplete": RecordKind.LAST,
        "response.failed": RecordKind.ERROR,
        "response.cancelled": RecordKind.CANCELLED,
        "error": RecordKind.ERROR,
        "keepalive": RecordKind.PING,
    }
)


def _delta(text: bytes, kind: bytes) -> bytes:
    """A pattern for deltas of one kind, whose type may be anywhere among the members."""
    name = rb'"type": ?"response\.' + kind + rb'\.delta"'
    wanted = rb'"delta": ?"(' + text + rb')"'
    other = rb"(?:" + name + rb"|" + plain_member(b"delta|type|error") + rb")"
    return rb"(?=[^\n]*?" + name + rb")" + plain_object(wanted, other)


def _ordinary(text: bytes) -> bytes:
    """Arguments, reasoning and refusals come in deltas, too."""
    return _delta(text, rb"[a-z_]++(?:\.[a-z_]++)??")


_ORDINARY: Final = re.compile(_ordinary(PLAIN_TEXT))
_ORDINARY_TEXT: Final = re.compile(_delta(PLAIN_TEXT, rb"output_text"))


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
    delta = event.get("delta")
    is_text = event.get("type") == _TEXT_DELTA and isinstance(delta, str)
    return encode(delta) if is_text and isinstance(delta, str) else b""
