"""Everything that an upstream does wrong, or oddly but right, as ready-made scripts.

`FAULTS` is the list. Each fault says which text has come by the time that it shows, so that a
test can tell what was lost from what was never sent. Those that wait stand at the gate of their
own name or, where the silence never ends, at ``stall``. Broken *bodies* whose framing is sound
are in `tailrace.testing.recorded`; here it is mostly the connection that misbehaves.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tailrace.testing.chunks import (
    DONE,
    chat_chunks,
    chunk,
    completion,
    error_body,
    event,
    role_chunk,
)
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
_BEGUN: Final = (role_chunk(), chunk(_TEXTS[0]), chunk(_TEXTS[1]))
_REST: Final = (chunk(_TEXTS[2]), chunk(_TEXTS[3]), chunk(finish_reason="stop"))
_FINISHED: Final = (*_BEGUN, *_REST)
_ALL: Final = b"".join(chat_chunks(_TEXTS))
_BAD_GATEWAY_PAGE: Final = b"<!doctype html><title>502</title><h1>Bad gateway</h1>\n"
_HTML: Final = ("content-type", "text/html; charset=utf-8")
# Inside the body of the chunk that follows: after its length line, before its end.
_MID_CHUNK: Final = b"f0\r\n" + chunk(_TEXTS[2])[:40]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to answer. ``text`` is what the answer's content amounts to when it ends."""

    note: str
    script: Script
    text: str = ""
    done: bool = False
    """Whether ``[DONE]`` comes."""


def _begun(*steps: Cut | Reset | Send | Raw | Wait) -> Script:
    """Half an answer, then ``steps``."""
    return script(Head(), *(Send(each) for each in _BEGUN), *steps)


def _sends(*events: bytes) -> tuple[Send, ...]:
    return tuple(Send(each) for each in events)


def _whole(note: str, answer: Script, text: str = _WHOLE) -> Fault:
    return Fault(note, answer, text, done=True)


_ODD_BUT_WHOLE: Final = {
    "plain": _whole("nothing wrong", stream(*chat_chunks(_TEXTS))),
    "one-write": _whole("the whole body in one chunk", stream(_ALL)),
    "dribble": _whole("one byte a write, head and framing too", stream(_ALL, wire=1)),
    "cut-characters": _whole(
        "every multi-byte character cut at a chunk's edge",
        script(Head(), Send(_ALL, inside_characters(_ALL))),
    ),
    "byte-chunks": _whole("each byte an HTTP chunk", script(Head(), Send(_ALL, 1))),
    "content-length": _whole(
        "a stream with Content-Length", script(Head(framing=Framing.LENGTH), Send(_ALL, 100))
    ),
    "eof-delimited": _whole(
        "the body ends with the connection", script(Head(framing=Framing.EOF), Send(_ALL, 100))
    ),
    "http-1.0": _whole(
        "an HTTP/1.0 server", script(Head(framing=Framing.EOF, version="1.0"), Send(_ALL, 100))
    ),
    "connection-close": _whole(
        "chunked, and closed after the answer",
        script(
            Head(headers=(EVENT_STREAM, ("connection", "close"))),
            Send(_ALL),
            Raw(b"0\r\n\r\n"),
            Cut(),
        ),
    ),
    "early-hints": _whole(
        "an interim 103 response first",
        script(Raw(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), Head(), Send(_ALL)),
    ),
    "chunk-extensions": _whole(
        "chunk extensions and a trailer field",
        script(
            Head(),
            Raw(b"%x;a=b\r\n%b\r\n" % (len(_ALL), _ALL)),
            Raw(b"0;c\r\nx-t: 1\r\n\r\n"),
            Cut(),
        ),
    ),
    "late-head": _whole(
        "no head until the gate opens", script(Wait("late-head"), Head(), Send(_ALL))
    ),
    "late-first-byte": _whole(
        "a head, and no body until the gate opens",
        script(Head(), Wait("late-first-byte"), Send(_ALL)),
    ),
    "pause": _whole(
        "silence in mid-answer until the gate opens",
        _begun(Wait("pause"), *_sends(*_REST, DONE)),
    ),
    "comments": _whole(
        "comment lines before, between and after events",
        stream(
            b": warming up\n\n",
            *(each for event_ in _FINISHED for each in (b": keep-alive\n\n", event_)),
            DONE,
        ),
    ),
    "oversized-event": _whole(
        "one event of a mebibyte",
        stream(role_chunk(), chunk("x" * OVERSIZED), chunk(finish_reason="stop"), DONE),
        "x" * OVERSIZED,
    ),
    "no-final-newline": _whole(
        "[DONE] without the newlines after it", stream(*_FINISHED, DONE.rstrip())
    ),
    "after-done": _whole("more events after [DONE]", stream(*_FINISHED, DONE, chunk("never"))),
    "done-then-open": _whole(
        "[DONE], and then the response is never ended",
        script(Head(), *_sends(*_FINISHED, DONE), STALL),
    ),
    "done-then-cut": _whole(
        "[DONE], and then no last chunk", script(Head(), *_sends(*_FINISHED, DONE), Cut())
    ),
    "malformed-event": _whole(
        "one event that is no JSON, then the rest",
        _begun(Send(b'data: {"choices":[{"del\n\n'), *_sends(*_REST, DONE)),
    ),
}

_CUT: Final = {
    "cut": Fault("FIN between two events", _begun(Cut()), _HALF),
    "cut-in-event": Fault("FIN inside an event", _begun(Raw(_MID_CHUNK), Cut()), _HALF),
    "cut-after-finish": Fault(
        "FIN after the finish chunk, before [DONE]",
        script(Head(), *_sends(*_FINISHED), Cut()),
        _WHOLE,
    ),
    "reset": Fault("RST between two events", _begun(Wait("reset"), Reset()), _HALF),
    "no-done": Fault("a proper end of body, but half an answer", stream(*_BEGUN), _HALF),
    "no-done-after-finish": Fault(
        "a proper end of body, everything but [DONE]", stream(*_FINISHED), _WHOLE
    ),
    "empty-body": Fault("a proper head and no body", stream()),
    "short-length": Fault(
        "FIN before Content-Length is reached",
        script(Head(framing=Framing.LENGTH, length=100_000), Send(b"".join(_BEGUN)), Cut()),
        _HALF,
    ),
    "eof-without-done": Fault(
        "a body that ends with the connection, half way",
        script(Head(framing=Framing.EOF), Send(b"".join(_BEGUN))),
        _HALF,
    ),
    "bad-chunk-size": Fault("a chunk length that is none", _begun(Raw(b"zz\r\n")), _HALF),
}

_SILENT: Final = {
    "stall": Fault("silence in mid-answer, for ever", _begun(STALL), _HALF),
    "stall-head": Fault("never a head", script(STALL)),
    "stall-first-byte": Fault("a head, and never a body", script(Head(), STALL)),
    "stall-in-event": Fault("silence inside an event", _begun(Raw(_MID_CHUNK), STALL), _HALF),
    "comments-only": Fault(
        "comments, never an event",
        script(Head(), *_sends(*[b": ping\n\n"] * 3), STALL),
    ),
}

_ERRORS: Final = {
    "error-event": Fault(
        "an error object in mid-stream",
        _begun(Send(event({"error": {"message": "overloaded", "type": "server_error"}}))),
        _HALF,
    ),
    "error-event-first": Fault(
        "status 200 and an error object at once",
        stream(event({"error": {"message": "overloaded", "type": "server_error"}})),
    ),
    "error-event-done": Fault(
        "an error object, then [DONE]",
        _begun(Send(event({"error": {"message": "overloaded", "code": 503}})), Send(DONE)),
        _HALF,
        done=True,
    ),
}

_REFUSALS: Final = {
    "400": Fault(
        "a request it does not like",
        respond(400, error_body("bad temperature", kind="invalid_request_error")),
    ),
    "401": Fault("a wrong key", respond(401, error_body("bad key", code="invalid_api_key"))),
    "429": Fault(
        "rate limit, with its headers",
        respond(
            429,
            error_body("slow down", kind="rate_limit_error", code="rate_limit_exceeded"),
            ("retry-after", "7"),
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "7s"),
        ),
    ),
    "500": Fault("an error with a JSON body", respond(500, error_body("boom"))),
    "503": Fault(
        "overloaded, come back later",
        respond(503, error_body("overloaded"), ("retry-after", "1")),
    ),
    "502-html": Fault("a proxy's error page", respond(502, _BAD_GATEWAY_PAGE, _HTML)),
    "307": Fault(
        "a redirect to elsewhere",
        respond(307, b"", ("location", "http://127.0.0.1:9/v1/chat/completions")),
    ),
}

_NOT_A_STREAM: Final = {
    "html": Fault("status 200 and a web page", respond(200, _BAD_GATEWAY_PAGE, _HTML)),
    "json": Fault("status 200 and the answer not streamed", respond(200, completion(_TEXTS))),
    "gzip": Fault(
        "compressed, though nobody asked",
        script(
            Head(headers=(EVENT_STREAM, ("content-encoding", "gzip"))),
            Send(gzip.compress(_ALL, mtime=0)),
        ),
    ),
    "no-content": Fault("status 204", script(Head(204, (), Framing.EOF))),
    "not-http": Fault("another protocol altogether", script(Raw(b"SSH-2.0-OpenSSH_9.6\r\n"))),
    "garbage": Fault("bytes without meaning", script(Raw(bytes(range(256)) * 4))),
    "closes": Fault("FIN, and not one byte", script(Cut())),
    "resets": Fault("RST, and not one byte", script(Reset())),
    "half-a-head": Fault("FIN inside the head", script(Raw(b"HTTP/1.1 200 OK\r\ncont"), Cut())),
    "endless-head": Fault(
        "a head of a mebibyte", script(Head(headers=(EVENT_STREAM, ("x-pad", "p" * OVERSIZED))))
    ),
}

FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {**_ODD_BUT_WHOLE, **_CUT, **_SILENT, **_ERRORS, **_REFUSALS, **_NOT_A_STREAM}
)
"""Name → fault. Also what `fault_scripts` offers to requests that name their script."""


def fault_scripts() -> dict[str, Script]:
    """The scripts by name, as `ScriptedUpstream` takes them: model ``script:stall`` stalls."""
    return {name: fault.script for name, fault in FAULTS.items()}
