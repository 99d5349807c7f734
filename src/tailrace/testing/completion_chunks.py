"""Text completions as an OpenAI-compatible API sends them (`tailrace.testing.chunks`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from tailrace.testing.chunks import CREATED, DONE, MODEL, event, usage

ANSWER_ID = "cmpl-test0000000000000000"


def text_chunk(
    text: str = "", *, index: int = 0, finish_reason: str | None = None, model: str = MODEL
) -> bytes:
    """The event of one chunk of choice ``index``."""
    return event({**_frame(model), "choices": [_choice(text, index, finish_reason)]})


def text_usage_chunk(completion_tokens: int, *, model: str = MODEL) -> bytes:
    """The event that ends an answer of which usage was asked: no choices, only counts."""
    return event({**_frame(model), "choices": [], "usage": usage(completion_tokens)})


def text_chunks(
    texts: Iterable[str],
    *,
    choices: int = 1,
    include_usage: bool = False,
    finish_reason: str = "stop",
    model: str = MODEL,
) -> list[bytes]:
    """The events of a whole streamed answer, ``[DONE]`` included; choices take turns."""
    pieces, each = list(texts), range(choices)
    events = [text_chunk(text, index=index, model=model) for text in pieces for index in each]
    events += [text_chunk(index=index, finish_reason=finish_reason, model=model) for index in each]
    if include_usage:
        events.append(text_usage_chunk(len(pieces) * choices, model=model))
    return [*events, DONE]


def text_completion(texts: Sequence[str], *, choices: int = 1, model: str = MODEL) -> bytes:
    """The JSON body of the same answer, not streamed."""
    said = [_choice("".join(texts), index, "stop") for index in range(choices)]
    answer = {**_frame(model), "choices": said, "usage": usage(len(texts) * choices)}
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def _choice(text: str, index: int, finish_reason: str | None) -> dict[str, object]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}


def _frame(model: str) -> dict[str, object]:
    return {"id": ANSWER_ID, "object": "text_completion", "created": CREATED, "model": model}
