"""What the event stream of an OpenAI-compatible text completion means.

Blocks are what they are in a chat (`tailrace.wire.chat`); a choice's text is its ``text``.
"""

from __future__ import annotations

import re
from typing import Final

from tailrace.wire.json.strict_json import NotJson, members
from tailrace.wire.llm import chat
from tailrace.wire.llm.chunk_text import (
    PLAIN_TEXT,
    ChunkText,
    plain_member,
    plain_object,
    text_value,
)
from tailrace.wire.llm.records import Grammar, Record
from tailrace.wire.sse import SseEvent


def _ordinary(text: bytes) -> bytes:
    wanted = rb'"text": ?"(' + text + rb')"'
    choices = rb'"choices": ?\[' + plain_object(wanted, plain_member(b"text|error")) + rb"\]"
    return plain_object(choices, plain_member(b"choices|error"))


_ORDINARY: Final = re.compile(_ordinary(PLAIN_TEXT))


def _understand(event: SseEvent) -> Record | None:
    return chat.understand(event, _ORDINARY)


GRAMMAR: Final[Grammar] = Grammar(_understand, _ordinary)


def text_reader() -> ChunkText:
    """`text` for the chunks of one answer."""
    return ChunkText(_ORDINARY, text)


def text(chunk: bytes) -> bytes:
    """The text of all choices of ``chunk``, in UTF-8."""
    try:
        value, encode = text_value(chunk)
    except NotJson:
        return b""
    choices = members(value).get("choices")
    if not isinstance(choices, list):
        return b""
    texts = [members(choice).get("text") for choice in choices]
    return encode("".join([each for each in texts if isinstance(each, str)]))
