"""Responses read to their end, and understood: what was said, and how that ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tailrace.wire import sse
from tests.e2e.harness import Body, Viewer


class Front(NamedTuple):
    """An endpoint that asks."""

    name: str
    api: str
    """Whose answer it becomes."""


FRONTS: Final[Mapping[str, Front]] = MappingProxyType(
    {
        "stream": Front("stream", "chat"),
        "events": Front("events", "chat"),
        "v1": Front("v1", "chat"),
        "completions": Front("completions", "completions"),
        "responses": Front("responses", "responses"),
        "messages": Front("messages", "messages"),
    }
)
CHAT_FRONTS: Final = ("stream", "events", "v1")
"""``/stream`` as text and as events, and OpenAI's."""
API_FRONTS: Final = ("completions", "responses", "messages")
"""The other APIs' own."""

OWN_VIEW: Final[Mapping[str, str]] = MappingProxyType(
    {
        "chat": "openai",
        "completions": "openai",
        "responses": "responses",
        "messages": "messages",
    }
)
"""The view that streams an API's answers as the API itself does."""


def views_of(api: str) -> tuple[str, ...]:
    """The views that an answer's stream is read in."""
    return ("sse", "text", "ndjson", OWN_VIEW[api])


LAST: Final = MappingProxyType(
    {
        "chat": b"data: [DONE]",
        "completions": b"data: [DONE]",
        "responses": b"event: response.completed",
        "messages": b"event: message_stop",
    }
)
"""The line by which an API says that the answer is whole."""


class Seen(NamedTuple):
    """A whole response, understood."""

    status: int
    fields: Mapping[str, str]
    body: Body
    cell: str
    """For the table: how the response ended."""
    said: str
    """The model's words in it."""


@dataclass
class Reader:
    """A client of one response; keeps what it read."""

    viewer: Viewer
    name: str
    """Of its front or view."""
    api: str
    sent: bytes
    """What the upstream's answer has for a body."""
    asks: bool
    """It is at a front; else it reads a stream in a view."""
    data: bytes = b""

    def until(self, words: bytes) -> None:
        """Read until ``words`` have come."""
        self.data += self.viewer.until(lambda data: words in self.data + data)

    def seen(self) -> Seen:
        """Read to the end."""
        rest = self.viewer.rest()
        body = Body(self.data + rest.data, rest.whole)
        status, fields = self.viewer.status, self.viewer.fields
        self.viewer.leave()
        handed_on = self.asks and "content-location" not in fields
        if status != 200 or handed_on:
            return Seen(status, fields, body, _refusal(status, body, self.sent), "")
        cell, said = _FORMATS[self.name](body.data, self)
        return Seen(status, fields, body, _ended(cell, body), said)


def _ended(cell: str, body: Body) -> str:
    """``cell``, and the body's own end where there are no words or they speak against it."""
    if not cell:
        return "whole" if body.whole else "cut"
    return cell if body.whole else f"{cell}, cut"


def _refusal(status: int, body: Body, sent: bytes) -> str:
    if body.data == sent:
        cell = f"{status}, as it came"
    else:
        problem = json.loads(body.data)
        words = problem.get("error", problem)
        cell = f"{status} `{words.get('code') or words['type']}`"
    return cell if body.whole else f"{cell}, cut"


def events_of(data: bytes) -> list[sse.SseEvent]:
    """The whole events of a body."""
    return sse.Parser(1 << 24).feed(data)


# --- the model's words --------------------------------------------------------------------------


def _chat(event: Mapping[str, Any]) -> str:
    choices = event.get("choices", ())
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def _completion(event: Mapping[str, Any]) -> str:
    return "".join(choice["text"] for choice in event.get("choices", ()))


def _response(event: Mapping[str, Any]) -> str:
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""


def _message(event: Mapping[str, Any]) -> str:
    return str(event["delta"]["text"]) if event["type"] == "content_block_delta" else ""


_TEXTS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = MappingProxyType(
    {
        "chat": _chat,
        "completions": _completion,
        "responses": _response,
        "messages": _message,
    }
)


# --- formats ------------------------------------------------------------------------------------


def _read_text(data: bytes, _: Reader) -> tuple[str, str]:
    return "", data.decode()


def _read_sse(data: bytes, reader: Reader) -> tuple[str, str]:
    events, text = events_of(data), _TEXTS[reader.api]
    said = "".join(text(json.loads(event.data)) for event in events if event.type == "")
    if events and events[-1].type == "end":
        return f"`end` {json.loads(events[-1].data)['ending']}", said
    last_block = data.removesuffix(b"\n\n").rpartition(b"\n\n")[2]
    return "`retry`" if last_block.startswith(b"retry:") else "", said


def _read_ndjson(data: bytes, reader: Reader) -> tuple[str, str]:
    lines = [json.loads(line) for line in data.splitlines() if line]
    text = _TEXTS[reader.api]
    said = "".join(text(line["data"]) for line in lines if line["type"] == "data")
    if lines and lines[-1]["type"] == "end":
        return f"`end` {lines[-1]['ending']}", said
    return "", said


def _read_own(data: bytes, reader: Reader) -> tuple[str, str]:
    """As the API itself streams."""
    events, text = events_of(data), _TEXTS[reader.api]
    said = "".join(text(json.loads(event.data)) for event in events if event.data != b"[DONE]")
    if not events:
        return "", said
    last = events[-1].data
    if last == b"[DONE]":
        return "`[DONE]`", said
    event = json.loads(last)
    kind = event.get("type", "error" if "error" in event else "")
    if b"event: %b" % kind.encode() == LAST[reader.api]:
        return f"`{kind}`", said
    if "error" in kind or "failed" in kind:
        if last in reader.sent:
            return f"`{kind}`, as it came", said
        return f"`error` {event['error'].get('code') or event['error']['type']}", said
    return "", said


_FORMATS: Final[Mapping[str, Callable[[bytes, Reader], tuple[str, str]]]] = {
    "stream": _read_text,
    "events": _read_sse,
    "v1": _read_own,
    **dict.fromkeys(API_FRONTS, _read_own),
    "sse": _read_sse,
    "text": _read_text,
    "ndjson": _read_ndjson,
    **dict.fromkeys(OWN_VIEW.values(), _read_own),
}
