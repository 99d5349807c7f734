"""Chat completions as an OpenAI-compatible API sends them, with the same ids every time.

Every event of an answer bears the same ``id``, ``created`` and ``model``; ``finish_reason`` is
there as null until the last chunk of a choice; where usage is asked for it is null until an
event of its own, with no choices; then comes ``[DONE]``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

ANSWER_ID: Final = "chatcmpl-test0000000000000000"
CREATED: Final = 1_750_000_000
"""Seconds since the epoch: fixed, so that two runs send the same bytes."""
MODEL: Final = "test-model"
DONE: Final = b"data: [DONE]\n\n"

_PROMPT_TOKENS: Final = 7


def event(value: object) -> bytes:
    """One server-sent event that holds ``value`` as compact JSON, text unescaped, in UTF-8."""
    return b"data: " + _json(value) + b"\n\n"


def chunk(
    text: str | None = None,
    *,
    index: int = 0,
    delta: Mapping[str, Any] | None = None,
    finish_reason: str | None = None,
    model: str = MODEL,
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """The event of one chunk: ``text`` as the content of choice ``index``, or another ``delta``.

    ``extra`` is added at the top level, ``{"usage": None}`` for instance.
    """
    content: Mapping[str, Any] = {} if text is None else {"content": text}
    choice = {
        "index": index,
        "delta": dict(content if delta is None else delta),
        "finish_reason": finish_reason,
    }
    return event({**_frame("chat.completion.chunk", model), "choices": [choice], **(extra or {})})


def role_chunk(
    *, index: int = 0, model: str = MODEL, extra: Mapping[str, Any] | None = None
) -> bytes:
    """The event that opens a choice: the role, and content that is still empty."""
    return chunk(index=index, delta={"role": "assistant", "content": ""}, model=model, extra=extra)


def usage_chunk(completion_tokens: int, *, model: str = MODEL) -> bytes:
    """The event that ends an answer of which usage was asked: no choices, only counts."""
    frame = _frame("chat.completion.chunk", model)
    return event({**frame, "choices": [], "usage": usage(completion_tokens)})


def chat_chunks(
    texts: Iterable[str],
    *,
    choices: int = 1,
    include_usage: bool = False,
    finish_reason: str = "stop",
    model: str = MODEL,
) -> list[bytes]:
    """The events of a whole streamed answer, ``[DONE]`` included.

    With several ``choices`` each says the same, and they take turns, as they do when a real
    server samples them together.
    """
    pieces = list(texts)
    extra = {"usage": None} if include_usage else None
    each = range(choices)
    events = [role_chunk(index=index, model=model, extra=extra) for index in each]
    events += [
        chunk(text, index=index, model=model, extra=extra) for text in pieces for index in each
    ]
    events += [
        chunk(index=index, finish_reason=finish_reason, model=model, extra=extra) for index in each
    ]
    if include_usage:
        events.append(usage_chunk(len(pieces) * choices, model=model))
    return [*events, DONE]


def completion(texts: Sequence[str], *, choices: int = 1, model: str = MODEL) -> bytes:
    """The JSON body of the same answer, not streamed."""
    message = {"role": "assistant", "content": "".join(texts)}
    return _json(
        {
            **_frame("chat.completion", model),
            "choices": [
                {"index": index, "message": message, "finish_reason": "stop"}
                for index in range(choices)
            ],
            "usage": usage(len(texts) * choices),
        }
    )


def error_body(message: str, *, kind: str = "server_error", code: str | None = None) -> bytes:
    """The JSON body of a refusal in OpenAI's shape."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return _json({"error": error})


def model_list(models: Sequence[str]) -> bytes:
    """The JSON body of ``GET /v1/models``."""
    entries = [
        {"id": model, "object": "model", "created": CREATED, "owned_by": "tailrace"}
        for model in models
    ]
    return _json({"object": "list", "data": entries})


def _frame(kind: str, model: str) -> dict[str, object]:
    return {"id": ANSWER_ID, "object": kind, "created": CREATED, "model": model}


def usage(completion_tokens: int) -> dict[str, int]:
    """What OpenAI's older APIs count."""
    return {
        "prompt_tokens": _PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": _PROMPT_TOKENS + completion_tokens,
    }


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
