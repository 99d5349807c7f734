"""Answers of Anthropic's Messages API, with the same ids every time.

A message has blocks; events say which one they tell of. The last but one event says why the
message ended, and counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from tailrace.testing.chunks import MODEL
from tailrace.testing.response_events import typed_event

MESSAGE_ID: Final = "msg_test0000000000000000"
TOOL_ID: Final = "toolu_test0000000000000000"
PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_PROMPT_TOKENS: Final = 7


def message_start(*, model: str = MODEL) -> bytes:
    """The event that begins an answer."""
    message = _message([], model, None, 0)
    return typed_event({"type": "message_start", "message": message})


def block_start(index: int = 0, block: dict[str, Any] | None = None) -> bytes:
    """The event that begins a block: of text, if no other is given."""
    begun = {"type": "text", "text": ""} if block is None else block
    return typed_event({"type": "content_block_start", "index": index, "content_block": begun})


def block_delta(
    text: str, index: int = 0, *, kind: str = "text_delta", name: str = "text"
) -> bytes:
    """The event of one piece of a block, ``name`` being what it is called in that kind of delta."""
    delta = {"type": kind, name: text}
    return typed_event({"type": "content_block_delta", "index": index, "delta": delta})


def block_stop(index: int = 0) -> bytes:
    """The event that ends a block."""
    return typed_event({"type": "content_block_stop", "index": index})


def tool_events(name: str, pieces: Sequence[str], index: int = 1) -> list[bytes]:
    """The events of one use of a tool, its input in pieces of JSON."""
    begun = {"type": "tool_use", "id": TOOL_ID, "name": name, "input": {}}
    deltas = [
        block_delta(each, index, kind="input_json_delta", name="partial_json") for each in pieces
    ]
    return [block_start(index, begun), *deltas, block_stop(index)]


def message_delta(tokens: int, *, stop_reason: str = "end_turn") -> bytes:
    """The event that says why the message ended, and how many tokens it has in all."""
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    usage = {"output_tokens": tokens}
    return typed_event({"type": "message_delta", "delta": delta, "usage": usage})


def message_error(message: str, *, kind: str = "overloaded_error") -> bytes:
    """The event of an error."""
    return typed_event({"type": "error", "error": {"type": kind, "message": message}})


def message_events(texts: Sequence[str], *, model: str = MODEL) -> list[bytes]:
    """The events of a whole streamed answer of one block of text."""
    return [
        message_start(model=model),
        block_start(),
        PING,
        *(block_delta(text) for text in texts),
        block_stop(),
        message_delta(len(texts)),
        MESSAGE_STOP,
    ]


def whole_message(texts: Sequence[str], *, model: str = MODEL) -> bytes:
    """The JSON body of the same answer, not streamed."""
    content = [{"type": "text", "text": "".join(texts)}]
    message = _message(content, model, "end_turn", len(texts))
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def message_error_body(message: str, *, kind: str = "api_error") -> bytes:
    """The JSON body of a refusal in Anthropic's shape."""
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return json.dumps(error, ensure_ascii=False, separators=(",", ":")).encode()


def _message(
    content: Sequence[object], model: str, stop_reason: str | None, tokens: int
) -> dict[str, Any]:
    return {
        "id": MESSAGE_ID,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": _PROMPT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": tokens,
        },
    }
