"""What an upstream's bytes say to a reader that shares no code with ours: h11, and plain Python."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import h11

_LINE_END: Final = re.compile("\r\n|\n|\r")
_LAST: Final = {
    "responses": {"response.completed", "response.incomplete"},
    "messages": {"message_stop"},
}

_ERRORS: Final = {
    "responses": {"error", "response.failed", "response.cancelled"},
    "messages": {"error"},
}


@dataclass
class Response:
    """One HTTP response."""

    status: int = 0
    type: str = ""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    whole: bool = False
    """Whether the body ended as its framing says."""
    sound: bool = True
    """Whether all of it was HTTP as RFC 9112 wants it."""


def parse_response(wire: bytes) -> Response:
    """What a client of HTTP gets of these bytes and the end of the connection behind them."""
    connection, found = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20), Response()
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    body = bytearray()
    try:
        for data in (wire, b""):
            connection.receive_data(data)
            while True:
                event = connection.next_event()
                if isinstance(event, h11.Response):
                    found.status = event.status_code
                    found.fields = tuple(event.headers)
                    found.type = dict(event.headers).get(b"content-type", b"").decode("latin-1")
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    found.whole = True
                elif not isinstance(event, h11.InformationalResponse):
                    break
            if found.whole:
                break
    except h11.RemoteProtocolError:
        found.sound = False
    found.body = bytes(body)
    return found


@dataclass
class Told:
    """What the events of a body tell of the answer."""

    ends: bool = False
    """The last word came."""
    errs: bool = False
    """An error came before it."""
    malformed: bool = False
    """Something that is no JSON object came before it."""
    odd: bool = False
    """It depends on the reader what something before it is."""

    @property
    def may_be_completed(self) -> bool:
        return self.odd or (self.ends and not self.errs and not self.malformed)

    @property
    def must_be_completed(self) -> bool:
        return self.ends and not self.errs and not self.malformed and not self.odd


def events_of(body: bytes) -> list[tuple[str, str]]:
    """Types and data of the events, as WHATWG has them; a last one may lack its blank line."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    events, kind, data = list[tuple[str, str]](), "", list[str]()
    for line in [*_LINE_END.split(text), ""]:
        if not line:
            if data:
                events.append((kind, "\n".join(data)))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
    return events


def understand(api: str, body: bytes) -> Told:
    """What ``body`` tells, up to the last word."""
    told = Told()
    for kind, data in events_of(body):
        if data.strip() in ("", "[DONE]"):
            if data.strip() and api not in _LAST:
                told.ends = True
                return told
            continue
        value = parse_json(data)
        if value is Ellipsis:
            told.odd = True
        elif not isinstance(value, dict):
            told.malformed = True
        else:
            _judge(api, kind, value, told)
            if told.ends:
                return told
    return told


def _judge(api: str, kind: str, value: dict[str, Any], told: Told) -> None:
    error = value.get("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str) and error["message"]:
        told.errs = True
    elif "error" in value or kind == "error" or "detail" in value or value.get("object") == "error":
        told.odd = True
    if api not in _LAST:
        return
    name = value.get("type", kind)
    if not isinstance(name, str):
        told.odd = True
    elif name in _LAST[api]:
        told.ends = True
    elif name in _ERRORS[api]:
        told.errs = True


def parse_json(text: str) -> Any:
    """The value; None where it is no JSON of RFC 8259; ``...`` where readers may differ."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        return ...
    except ValueError:
        return None
