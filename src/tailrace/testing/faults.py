"""Everything that an upstream does wrong, or oddly but right, as ready-made scripts.

`FAULTS` is the list, `faults_of` the same for another API than chat. Each fault says which text
has come by the time that it shows, so that a test can tell what was lost from what was never
sent. Those that wait stand at the gate of their own name or, where the silence never ends, at
``stall``. Broken *bodies* whose framing is sound are in `tailrace.testing.recorded`; here it is
mostly the connection that misbehaves.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import Final

from tailrace.testing.apis import APIS, ScriptedApi, api_at
from tailrace.testing.chunks import MODEL, error_body
from tailrace.testing.exchange import ScriptedExchange
from tailrace.testing.script import (
    EVENT_STREAM,
    STALL,
    Cut,
    Framing,
    Head,
    Raw,
    Reset,
    Script,
    Send,
    Step,
    Wait,
    inside_characters,
    respond,
    script,
    stream,
)

OVERSIZED: Final = 1 << 20
"""Characters in the one event of the fault ``oversized-event``: 16 times bufio.Scanner's limit."""

_TEXTS: Final = ("Wasser ", "läuft", " 水が流れる ", "🌊.")
_WHOLE: Final = "".join(_TEXTS)
_HALF: Final = _TEXTS[0] + _TEXTS[1]
_BAD_GATEWAY_PAGE: Final = b"<!doctype html><title>502</title><h1>Bad gateway</h1>\n"
_HTML: Final = ("content-type", "text/html; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to answer. ``text`` is what the answer's content amounts to when it ends."""

    note: str
    script: Script
    text: str = ""
    done: bool = False
    """Whether the end of the answer comes: ``[DONE]``, or the API's last event."""


class _Parts:
    """An answer of one API, in the parts that faults are made of."""

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        answer = api.answer(_TEXTS, MODEL)
        self.begun = (*answer.opening, *answer.deltas[:2])
        self.rest = (*answer.deltas[2:], *answer.finish)
        self.finished = (*self.begun, *self.rest)
        self.end = answer.end
        self.never = api.answer(("never",), MODEL).deltas[0]
        self.all = b"".join(answer.events)
        self.mid_chunk = b"f0\r\n" + answer.deltas[2][:40]
        """Inside the body of a chunk: after its length line, before its end."""

    def half(self, *steps: Step) -> Script:
        """Half an answer, then ``steps``."""
        return script(Head(), *_sends(*self.begun), *steps)

    def refusal(self, message: str, *, kind: str = "server_error") -> bytes:
        return self.api.refusal(message, kind)


def _sends(*events: bytes) -> tuple[Send, ...]:
    return tuple(Send(each) for each in events)


def _whole(note: str, answer: Script, text: str = _WHOLE) -> Fault:
    return Fault(note, answer, text, done=True)


def _framed(parts: _Parts) -> dict[str, Fault]:
    whole = parts.all
    hints = Raw(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    extended = Raw(b"%x;a=b\r\n%b\r\n" % (len(whole), whole))
    closing = Head(headers=(EVENT_STREAM, ("connection", "close")))
    http_1_0 = Head(framing=Framing.EOF, version="1.0")
    scripts = {
        "plain": ("nothing wrong", stream(*parts.finished, parts.end)),
        "one-write": ("the whole body in one chunk", stream(whole)),
        "dribble": ("one byte a write, head and framing too", stream(whole, wire=1)),
        "cut-characters": (
            "every multi-byte character cut at a chunk's edge",
            script(Head(), Send(whole, inside_characters(whole))),
        ),
        "byte-chunks": ("each byte an HTTP chunk", script(Head(), Send(whole, 1))),
        "content-length": (
            "a stream with Content-Length",
            script(Head(framing=Framing.LENGTH), Send(whole, 100)),
        ),
        "eof-delimited": (
            "the body ends with the connection",
            script(Head(framing=Framing.EOF), Send(whole, 100)),
        ),
        "http-1.0": ("an HTTP/1.0 server", script(http_1_0, Send(whole, 100))),
        "connection-close": (
            "chunked, and closed after the answer",
            script(closing, Send(whole), Raw(b"0\r\n\r\n"), Cut()),
        ),
        "early-hints": ("an interim 103 response first", script(hints, Head(), Send(whole))),
        "chunk-extensions": (
            "chunk extensions and a trailer field",
            script(Head(), extended, Raw(b"0;c\r\nx-t: 1\r\n\r\n"), Cut()),
        ),
    }
    return {name: _whole(note, answer) for name, (note, answer) in scripts.items()}


def _late(parts: _Parts) -> dict[str, Fault]:
    return {
        "late-head": _whole(
            "no head until the gate opens", script(Wait("late-head"), Head(), Send(parts.all))
        ),
        "late-first-byte": _whole(
            "a head, and no body until the gate opens",
            script(Head(), Wait("late-first-byte"), Send(parts.all)),
        ),
        "pause": _whole(
            "silence in mid-answer until the gate opens",
            parts.half(Wait("pause"), *_sends(*parts.rest, parts.end)),
        ),
    }


def _odd(parts: _Parts) -> dict[str, Fault]:
    name, finished, end = parts.api.end_name, parts.finished, parts.end
    large = parts.api.answer(("x" * OVERSIZED,), MODEL)
    kept_alive = [each for event in finished for each in (b": keep-alive\n\n", event)]
    return {
        "comments": _whole(
            "comment lines before, between and after events",
            stream(b": warming up\n\n", *kept_alive, end),
        ),
        "oversized-event": _whole(
            "one event of a mebibyte", stream(*large.events), "x" * OVERSIZED
        ),
        "no-final-newline": _whole(
            f"{name} without the newlines after it", stream(*finished, end.rstrip())
        ),
        "after-done": _whole(f"more events after {name}", stream(*finished, end, parts.never)),
        "done-then-open": _whole(
            f"{name}, and then the response is never ended",
            script(Head(), *_sends(*finished, end), STALL),
        ),
        "done-then-cut": _whole(
            f"{name}, and then no last chunk", script(Head(), *_sends(*finished, end), Cut())
        ),
        "malformed-event": _whole(
            "one event that is no JSON, then the rest",
            parts.half(*_sends(parts.api.malformed, *parts.rest, end)),
        ),
    }


def _cut(parts: _Parts) -> dict[str, Fault]:
    name, finished, half = parts.api.end_name, parts.finished, parts.half
    begun = Send(b"".join(parts.begun))
    short = Head(framing=Framing.LENGTH, length=100_000)
    return {
        "cut": Fault("FIN between two events", half(Cut()), _HALF),
        "cut-in-event": Fault("FIN inside an event", half(Raw(parts.mid_chunk), Cut()), _HALF),
        "cut-after-finish": Fault(
            f"FIN after the finish chunk, before {name}",
            script(Head(), *_sends(*finished), Cut()),
            _WHOLE,
        ),
        "reset": Fault("RST between two events", half(Wait("reset"), Reset()), _HALF),
        "no-done": Fault("a proper end of body, but half an answer", stream(*parts.begun), _HALF),
        "no-done-after-finish": Fault(
            f"a proper end of body, everything but {name}", stream(*finished), _WHOLE
        ),
        "empty-body": Fault("a proper head and no body", stream()),
        "short-length": Fault(
            "FIN before Content-Length is reached", script(short, begun, Cut()), _HALF
        ),
        "eof-without-done": Fault(
            "a body that ends with the connection, half way",
            script(Head(framing=Framing.EOF), begun),
            _HALF,
        ),
        "bad-chunk-size": Fault("a chunk length that is none", half(Raw(b"zz\r\n")), _HALF),
    }


def _silent(parts: _Parts) -> dict[str, Fault]:
    half = parts.half
    return {
        "stall": Fault("silence in mid-answer, for ever", half(STALL), _HALF),
        "stall-head": Fault("never a head", script(STALL)),
        "stall-first-byte": Fault("a head, and never a body", script(Head(), STALL)),
        "stall-in-event": Fault(
            "silence inside an event", half(Raw(parts.mid_chunk), STALL), _HALF
        ),
        "comments-only": Fault(
            "comments, never an event", script(Head(), *_sends(*[b": ping\n\n"] * 3), STALL)
        ),
    }


def _errors(parts: _Parts) -> dict[str, Fault]:
    error, other = parts.api.errors
    return {
        "error-event": Fault("an error object in mid-stream", parts.half(Send(error)), _HALF),
        "error-event-first": Fault("status 200 and an error object at once", stream(error)),
        "error-event-done": Fault(
            f"an error object, then {parts.api.end_name}",
            parts.half(Send(other), Send(parts.end)),
            _HALF,
            done=True,
        ),
    }


def _refusals(parts: _Parts) -> dict[str, Fault]:
    said = parts.refusal
    openai = parts.api.name != "messages"
    wrong_key = error_body("bad key", code="invalid_api_key") if openai else said("bad key")
    busy = error_body("slow down", kind="rate_limit_error", code="rate_limit_exceeded")
    limits = (
        ("retry-after", "7"),
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "7s"),
    )
    return {
        "400": Fault(
            "a request it does not like",
            respond(400, said("bad temperature", kind="invalid_request_error")),
        ),
        "401": Fault("a wrong key", respond(401, wrong_key)),
        "429": Fault(
            "rate limit, with its headers",
            respond(429, busy if openai else said("slow down", kind="rate_limit_error"), *limits),
        ),
        "500": Fault("an error with a JSON body", respond(500, said("boom"))),
        "503": Fault(
            "overloaded, come back later", respond(503, said("overloaded"), ("retry-after", "1"))
        ),
        "502-html": Fault("a proxy's error page", respond(502, _BAD_GATEWAY_PAGE, _HTML)),
        "307": Fault(
            "a redirect to elsewhere",
            respond(307, b"", ("location", f"http://127.0.0.1:9/v1{parts.api.path}")),
        ),
    }


def _not_a_stream(parts: _Parts) -> dict[str, Fault]:
    compressed = Head(headers=(EVENT_STREAM, ("content-encoding", "gzip")))
    endless = Head(headers=(EVENT_STREAM, ("x-pad", "p" * OVERSIZED)))
    answer = parts.api.whole(_TEXTS, MODEL)
    return {
        "html": Fault("status 200 and a web page", respond(200, _BAD_GATEWAY_PAGE, _HTML)),
        "json": Fault("status 200 and the answer not streamed", respond(200, answer)),
        "gzip": Fault(
            "compressed, though nobody asked",
            script(compressed, Send(gzip.compress(parts.all, mtime=0))),
        ),
        "no-content": Fault("status 204", script(Head(204, (), Framing.EOF))),
        "not-http": Fault("another protocol altogether", script(Raw(b"SSH-2.0-OpenSSH_9.6\r\n"))),
        "garbage": Fault("bytes without meaning", script(Raw(bytes(range(256)) * 4))),
        "closes": Fault("FIN, and not one byte", script(Cut())),
        "resets": Fault("RST, and not one byte", script(Reset())),
        "half-a-head": Fault("FIN inside the head", script(Raw(b"HTTP/1.1 200 OK\r\ncont"), Cut())),
        "endless-head": Fault("a head of a mebibyte", script(endless)),
    }


@cache
def faults_of(api: str) -> Mapping[str, Fault]:
    """Name → fault, for answers of ``chat``, ``completions``, ``responses`` or ``messages``."""
    parts = _Parts(APIS[api])
    groups = (_framed, _late, _odd, _cut, _silent, _errors, _refusals, _not_a_stream)
    return MappingProxyType(
        {name: fault for group in groups for name, fault in group(parts).items()}
    )


FAULTS: Final[Mapping[str, Fault]] = faults_of("chat")
"""Name → fault. Also what `fault_scripts` offers to requests that name their script."""


def fault_scripts(api: str = "chat") -> dict[str, Script]:
    """The scripts by name, as `ScriptedUpstream` takes them: model ``script:stall`` stalls."""
    return {name: fault.script for name, fault in faults_of(api).items()}


def fault_replies() -> dict[str, Callable[[ScriptedExchange], Script]]:
    """The same of the API that is asked, by the request's path."""

    def reply(name: str, exchange: ScriptedExchange) -> Script:
        return faults_of(api_at(exchange.target).name)[name].script

    return {name: partial(reply, name) for name in FAULTS}
