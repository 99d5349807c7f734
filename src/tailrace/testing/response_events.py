"""Answers of the Responses API as OpenAI sends them, with the same ids every time.

Events of one answer are numbered from 0; those that tell of a text, an item or a part say where
it is. `response_events` makes a whole answer; the others make single events, whose ``number`` is
the caller's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tailrace.testing.chunks import CREATED, MODEL

RESPONSE_ID: Final = "resp_test0000000000000000"
ITEM_ID: Final = "msg_test0000000000000000"
CALL_ID: Final = "fc_test0000000000000000"

_PROMPT_TOKENS: Final = 7
_PLACE: Final = {"item_id": ITEM_ID, "output_index": 0, "content_index": 0}


def typed_event(value: Mapping[str, Any]) -> bytes:
    """One server-sent event of the type that ``value`` says, as compact JSON in UTF-8."""
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), data)


def response(
    status: str,
    output: Sequence[Mapping[str, Any]] = (),
    *,
    error: Mapping[str, Any] | None = None,
    tokens: int | None = None,
    model: str = MODEL,
) -> dict[str, Any]:
    """A Response object; ``tokens`` of output are in its usage."""
    return {
        "id": RESPONSE_ID,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": error,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": list(output),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None if tokens is None else _usage(tokens),
    }


def message_item(text: str | None = None, *, status: str = "completed") -> dict[str, Any]:
    """An item that says ``text``; None: nothing yet."""
    content = [] if text is None else [_part(text)]
    return {
        "id": ITEM_ID,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def begin_events(*, model: str = MODEL) -> list[bytes]:
    """The four events, numbered from 0, that come before the first text."""
    begun = response("in_progress", model=model)
    item = message_item(status="in_progress")
    return [
        numbered("response.created", 0, response=begun),
        numbered("response.in_progress", 1, response=begun),
        numbered("response.output_item.added", 2, output_index=0, item=item),
        numbered("response.content_part.added", 3, **_PLACE, part=_part("")),
    ]


def text_delta(text: str, number: int) -> bytes:
    """The event of one piece of text."""
    return numbered("response.output_text.delta", number, **_PLACE, delta=text, logprobs=[])


def done_events(text: str, number: int) -> list[bytes]:
    """The three events that say that the text, its part and its item are done."""
    said: dict[str, Any] = {"text": text, "logprobs": []}
    item = message_item(text)
    return [
        numbered("response.output_text.done", number, **_PLACE, **said),
        numbered("response.content_part.done", number + 1, **_PLACE, part=_part(text)),
        numbered("response.output_item.done", number + 2, output_index=0, item=item),
    ]


def last_event(
    texts: Sequence[str], number: int, *, status: str = "completed", model: str = MODEL
) -> bytes:
    """The event that ends an answer of one message: ``status`` may be ``incomplete``, too."""
    output = [message_item("".join(texts))]
    whole = response(status, output, tokens=len(texts), model=model)
    return numbered(f"response.{status}", number, response=whole)


def failed_event(message: str, number: int, *, model: str = MODEL) -> bytes:
    """The event that ends an answer that failed."""
    error = {"code": "server_error", "message": message}
    return numbered(
        "response.failed", number, response=response("failed", error=error, model=model)
    )


def response_error(message: str, number: int, *, code: str = "server_error") -> bytes:
    """The event of an error beside the answer."""
    return numbered("error", number, code=code, message=message, param=None)


def keepalive(number: int) -> bytes:
    """The sign of life that OpenAI's server sends, and its documentation does not know."""
    return numbered("keepalive", number)


def call_events(name: str, arguments: Sequence[str], number: int, index: int = 1) -> list[bytes]:
    """The events of one call of a function, item ``index`` of the answer."""
    place = {"item_id": CALL_ID, "output_index": index}
    call = {"id": CALL_ID, "type": "function_call", "call_id": "call_1", "name": name}
    begun = {**call, "status": "in_progress", "arguments": ""}
    whole = {**call, "status": "completed", "arguments": "".join(arguments)}
    kind = "response.function_call_arguments"
    behind = number + len(arguments)
    return [
        numbered("response.output_item.added", number, output_index=index, item=begun),
        *(
            numbered(f"{kind}.delta", place_, **place, delta=each)
            for place_, each in enumerate(arguments, number + 1)
        ),
        numbered(f"{kind}.done", behind + 1, **place, arguments=whole["arguments"]),
        numbered("response.output_item.done", behind + 2, output_index=index, item=whole),
    ]


def response_events(texts: Sequence[str], *, model: str = MODEL) -> list[bytes]:
    """The events of a whole streamed answer of one message."""
    begun = begin_events(model=model)
    deltas = [text_delta(text, number) for number, text in enumerate(texts, len(begun))]
    number = len(begun) + len(deltas)
    done = done_events("".join(texts), number)
    return [*begun, *deltas, *done, last_event(texts, number + len(done), model=model)]


def whole_response(texts: Sequence[str], *, model: str = MODEL) -> bytes:
    """The JSON body of the same answer, not streamed."""
    output = [message_item("".join(texts))]
    whole = response("completed", output, tokens=len(texts), model=model)
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def numbered(kind: str, number: int, **members: object) -> bytes:
    """An event of that type and number."""
    return typed_event({"type": kind, "sequence_number": number, **members})


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": _PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": _PROMPT_TOKENS + tokens,
    }
