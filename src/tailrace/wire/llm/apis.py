"""The model APIs that are relayed: one row each.

A stream's content type says which of them its events belong to, so that whoever reads the
stream, now or after a restart, knows how. ``application/json`` alone is a chat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from tailrace.wire.llm import chat, completions, messages, responses
from tailrace.wire.llm.chunk_text import ChunkText
from tailrace.wire.llm.records import Grammar
from tailrace.wire.media_type import is_json, parameter


class ErrorShape(Enum):
    """How an API words an error."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Api(NamedTuple):
    """One API."""

    name: str
    path: str
    """Where it is below an upstream's base URL, and below ours."""
    content_type: str
    """Of the streams that its answers become."""
    view: str
    """The view that streams them as the API itself does."""
    errors: ErrorShape
    last: str
    """What it sends last, without which an answer is not whole."""
    grammar: Grammar
    text_reader: Callable[[], ChunkText]
    """Makes the reading of one answer's events as text."""
    usage_on_request: bool = False
    """It reports the tokens of a streamed answer to those only who ask with ``stream_options``."""


CHAT: Final = Api(
    "chat",
    "/chat/completions",
    "application/json",
    "openai",
    ErrorShape.OPENAI,
    "[DONE]",
    chat.GRAMMAR,
    chat.text_reader,
    usage_on_request=True,
)
COMPLETIONS: Final = Api(
    "completions",
    "/completions",
    "application/json; api=completions",
    "openai",
    ErrorShape.OPENAI,
    "[DONE]",
    completions.GRAMMAR,
    completions.text_reader,
    usage_on_request=True,
)
RESPONSES: Final = Api(
    "responses",
    "/responses",
    "application/json; api=responses",
    "responses",
    ErrorShape.OPENAI,
    "response.completed",
    responses.GRAMMAR,
    responses.text_reader,
)
MESSAGES: Final = Api(
    "messages",
    "/messages",
    "application/json; api=messages",
    "messages",
    ErrorShape.ANTHROPIC,
    "message_stop",
    messages.GRAMMAR,
    messages.text_reader,
)

APIS: Final[Mapping[str, Api]] = MappingProxyType(
    {api.name: api for api in (CHAT, COMPLETIONS, RESPONSES, MESSAGES)}
)
"""Name → API."""


def api_of(content_type: str) -> Api | None:
    """The API whose answers streams of this content type hold; None: none that we know."""
    if not is_json(content_type):
        return None
    return APIS.get(parameter(content_type, "api") or CHAT.name)
