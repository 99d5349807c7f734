"""The model APIs as far as a scripted upstream answers them: one row each.

A row is made of what the modules ``chunks``, ``completion_chunks``, ``response_events`` and
``message_events`` build; faults are scripts of these, whichever API it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from tailrace.testing.chunks import DONE, chunk, completion, error_body, event, role_chunk
from tailrace.testing.completion_chunks import text_chunk, text_completion
from tailrace.testing.message_events import (
    MESSAGE_STOP,
    message_error,
    message_error_body,
    message_events,
    whole_message,
)
from tailrace.testing.response_events import (
    begin_events,
    done_events,
    failed_event,
    last_event,
    response_error,
    text_delta,
    whole_response,
)


class Answer(NamedTuple):
    """The events of one streamed answer."""

    opening: tuple[bytes, ...]
    """Those before the first text."""
    deltas: tuple[bytes, ...]
    """Of each text one."""
    finish: tuple[bytes, ...]
    """Those between the last text and the end."""
    end: bytes
    """The one without which the answer is not whole."""

    @property
    def events(self) -> tuple[bytes, ...]:
        """All of them."""
        return (*self.opening, *self.deltas, *self.finish, self.end)


class ScriptedApi(NamedTuple):
    """What answers of one API are built of."""

    name: str
    path: str
    """What a request's path ends with."""
    end_name: str
    """What the end of an answer is called there."""
    answer: Callable[[Sequence[str], str], Answer]
    """Of these texts, by this model."""
    whole: Callable[[Sequence[str], str], bytes]
    """The same, not streamed: its JSON body."""
    errors: tuple[bytes, bytes]
    """Two events that say that the answer failed, because of ``overloaded``."""
    malformed: bytes
    """An event that is no JSON."""
    refusal: Callable[[str, str], bytes]
    """The JSON body of an error with this message, of this type."""


def _chat(texts: Sequence[str], model: str) -> Answer:
    deltas = tuple(chunk(text, model=model) for text in texts)
    finish = (chunk(finish_reason="stop", model=model),)
    return Answer((role_chunk(model=model),), deltas, finish, DONE)


def _completion(texts: Sequence[str], model: str) -> Answer:
    deltas = tuple(text_chunk(text, model=model) for text in texts)
    return Answer((), deltas, (text_chunk(finish_reason="stop", model=model),), DONE)


def _response(texts: Sequence[str], model: str) -> Answer:
    begun = begin_events(model=model)
    deltas = tuple(text_delta(text, number) for number, text in enumerate(texts, len(begun)))
    number = len(begun) + len(deltas)
    done = done_events("".join(texts), number)
    last = last_event(texts, number + len(done), model=model)
    return Answer(tuple(begun), deltas, tuple(done), last)


def _message(texts: Sequence[str], model: str) -> Answer:
    events = message_events(texts, model=model)
    behind = len(events) - 3
    opening, deltas = events[: behind - len(texts)], events[behind - len(texts) : behind]
    return Answer(tuple(opening), tuple(deltas), tuple(events[behind:-1]), MESSAGE_STOP)


_ERRORS: Final = (
    event({"error": {"message": "overloaded", "type": "server_error"}}),
    event({"error": {"message": "overloaded", "code": 503}}),
)

APIS: Final[Mapping[str, ScriptedApi]] = MappingProxyType(
    {
        "chat": ScriptedApi(
            "chat",
            "/chat/completions",
            "[DONE]",
            _chat,
            lambda texts, model: completion(texts, model=model),
            _ERRORS,
            b'data: {"choices":[{"del\n\n',
            lambda message, kind: error_body(message, kind=kind),
        ),
        "completions": ScriptedApi(
            "completions",
            "/completions",
            "[DONE]",
            _completion,
            lambda texts, model: text_completion(texts, model=model),
            _ERRORS,
            b'data: {"choices":[{"te\n\n',
            lambda message, kind: error_body(message, kind=kind),
        ),
        "responses": ScriptedApi(
            "responses",
            "/responses",
            "response.completed",
            _response,
            lambda texts, model: whole_response(texts, model=model),
            (response_error("overloaded", 6), failed_event("overloaded", 6)),
            b'event: response.output_text.delta\ndata: {"type":"response.out\n\n',
            lambda message, kind: error_body(message, kind=kind),
        ),
        "messages": ScriptedApi(
            "messages",
            "/messages",
            "message_stop",
            _message,
            lambda texts, model: whole_message(texts, model=model),
            (message_error("overloaded"), message_error("overloaded", kind="api_error")),
            b'event: content_block_delta\ndata: {"type":"content_bl\n\n',
            lambda message, kind: message_error_body(message, kind=kind),
        ),
    }
)
"""Name → API."""


def api_at(target: str) -> ScriptedApi:
    """The API of a request's target; chat where it is none that we know."""
    path = target.partition("?")[0]
    return next((api for api in APIS.values() if path.endswith(api.path)), APIS["chat"])
