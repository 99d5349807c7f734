"""Generates what a model API answers: event streams, JSON in them, HTTP around them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tailrace.testing.apis import APIS
from tailrace.testing.chunks import MODEL
from tailrace.testing.recorded import RECORDED
from tests.fuzz import mutation

CANARY: Final = "sk-canary-7d1e55b09c2f4a86"
"""The key with which the upstream is asked; an upstream may repeat it, nobody may show it."""

_TEXTS: Final = (
    "a", " day", "", "水が", "🌊", "e\u0301", "data: [DONE]", "[DONE]", "\n\n", "\r", '"', "\\",
    "\0", "\u2028", "\ufeff", "<b>", "x" * 5000, "event: end", "\ud7ff\ue000", "\U0010ffff",
)  # fmt: skip

# Pieces of JSON that readers of JSON differ about, or that mean something to ours.
_VALUES: Final = (
    b"null", b"true", b"0", b"-0", b"1e999", b"-1", b"1.5", b'""', b'"x"', b"[]", b"{}", b"[[]]",
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"a\\ud800b"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"',
    b"NaN", b"Infinity", b"01", b"9" * 400, b"[" * 40 + b"]" * 40, b'{"error":{"message":"no"}}',
    b'"' + b"y" * 3000 + b'"', b'{"type":"response.completed"}', b'{"usage":{"total_tokens":-1}}',
    b'"' + CANARY.encode() + b'"',
)  # fmt: skip

_BLOCKS: Final = (
    b": ping\n\n", b":\n\n", b"\n", b"data\n\n", b"data:\n\n", b"data: \n\n", b"event: ping\n\n",
    b"retry: 1\n\n", b"id: 5\ndata: {}\n\n", b"id: a\0b\ndata: {}\n\n", b"event: error\n\n",
    b"data: {}\n\n", b"data: null\n\n", b"data: []\n\n", b"data: {\"a\":1}\ndata: \n\n",
    b"data: [DONE]\n\n", b"data: [DONE] \n\n", b"event: done\ndata: [DONE]\n\n", b"data:[DONE]\n\n",
    b"data: {\"error\":null}\n\n", b"data: {\"error\":\"\"}\n\n", b"data: {\"error\":{}}\n\n",
    b'data: {"error":{"message":"overloaded","code":503}}\n\n', b'data: {"error":"boom"}\n\n',
    b'data: {"object":"error","message":"m","code":40301}\n\n', b'data: {"detail":"no"}\n\n',
    b'event: error\ndata: {"message":"x"}\n\n', b"event: error\ndata: not JSON\n\n",
    b'data: {"error":{"code":400,"message":"the request exceeds the available context size"}}\n\n',
    b'event: ping\ndata: {"type":"ping"}\n\n', b'data: {"type":"ping"}\n\n',
    b"\xef\xbb\xbfdata: {}\n\n", b"Data: {}\n\n", b"<html>\n\n", b"{\"choices\":[]}\n\n",
    b'data: {"type":"response.failed","response":{"error":{"message":"m"}}}\n\n',
    b'data: {"type":"response.incomplete","response":{"id":"r"}}\n\n',
    b'data: {"type":"response.cancelled"}\n\n', b'data: {"type":"message_stop"}\n\n',
    b'data: {"type":"error","error":{"type":"e","message":"m"}}\n\n',
    b'data: {"choices":[{"delta":{"content":[{"type":"text","text":"l"}]}}]}\n\n',
    b'data: {"id":"","choices":[]}\n\n', b'data: {"id":"\\ud800","choices":[]}\n\n',
    b'data: {"id":"' + b"i" * 2000 + b'","choices":[]}\n\n', b'data: {"id":7,"choices":[]}\n\n',
    b'data: {"error":{"message":"bad key ' + CANARY.encode() + b'"}}\n\n',
    b'data: {"x":"sk-canary\\u002d7d1e55b09c2f4a86","choices":[]}\n\n',
    b"data: " + b"[" * 5000 + b"]" * 5000 + b"\n\n", b"data: " + b'{"a":' * 3000 + b"\n\n",
)  # fmt: skip

_TOKENS: Final = (
    b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"data: ", b"event: ", b"id: ", b":", b"\0",
    b"[DONE]", b"{", b"}", b'"', b"\\", b"\\u", b"\xff", b"\xf0\x9f", b"\xed\xa0\x80", b",", b"0",
    b"error", b"null", b"\xef\xbb\xbf", b"\\ud800", b"Content-Length: 5\r\n", b"HTTP/1.1 200 OK",
    b"Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"0\r\n\r\n", b";x=",
)  # fmt: skip

_TYPES: Final = (
    b"text/event-stream", b"text/event-stream; charset=utf-8", b"TEXT/EVENT-STREAM",
    b"text/event-stream;", b"application/json", b"text/html", b"text/plain", b"",
    b"text/event-stream, text/html", b"application/x-ndjson", b"text/event-stream\t;x=\"a\"",
)  # fmt: skip

_FIELDS: Final = (
    b"X-Request-Id: abc", b"x-request-id: " + CANARY.encode(), b"Set-Cookie: a=b", b"X: \xff\xfe",
    b"Content-Encoding: gzip", b"Content-Encoding: identity", b"Connection: close", b"X:",
    b"Retry-After: 1", b"Retry-After: -1", b"Retry-After: soon", b"Keep-Alive: timeout=0",
    b"Location: http://127.0.0.1:9/", b"x-should-retry: true", b"Content-Location: /streams/x",
    b"X: " + b"y" * 70_000, b"Trailer: X", b"Upgrade: h2c", b"Access-Control-Allow-Origin: *",
    b"Content-Security-Policy: default-src *", b"X-Content-Type-Options: sniff",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What an upstream answers to a question."""

    api: str
    wire: bytes
    cuts: tuple[int, ...] = ()
    """Where it is divided when it is sent for the second time."""
    after: str = "fin"
    """``fin``, ``reset``, or ``open``: the connection is left to the server."""
    streamed: bool = True
    """Whether the client asks for a stream."""
    text: bool = False
    """Whether a chat is asked for at /stream."""


def make_answer(dice: random.Random) -> Answer:
    """Generate one."""
    api = dice.choice(("chat", "chat", "completions", "responses", "messages"))
    streamed = dice.random() < 0.9
    body = _stream_body(dice, api) if streamed else _json_body(dice, api)
    wire = _framed(dice, body, streamed=streamed)
    if dice.random() < 0.25:
        wire = mutation.mutate(dice, wire, _TOKENS)
    if dice.random() < 0.15:
        wire = mutation.cut(dice, wire)
    after = dice.choices(("fin", "reset", "open"), (0.945, 0.05, 0.005))[0]
    return Answer(
        api,
        wire,
        mutation.cuts(dice, len(wire), 5),
        after,
        streamed,
        text=streamed and api == "chat" and dice.random() < 0.25,
    )


# --- bodies -----------------------------------------------------------------------------------


def _stream_body(dice: random.Random, api: str) -> bytes:
    if api == "chat" and dice.random() < 0.3:
        body = dice.choice(_RECORDED)
        blocks = [block + b"\n\n" for block in body.split(b"\n\n")]
    else:
        texts = [dice.choice(_TEXTS) for _ in range(dice.randrange(6))]
        blocks = list(APIS[api].answer(texts, MODEL).events)
    for _ in range(dice.choice((0, 0, 1, 1, 2, 4))):
        dice.choice(_BLOCK_CHANGES)(dice, blocks)
    body = b"".join(blocks)
    if dice.random() < 0.2:
        body = body.replace(b"\n", dice.choice((b"\r\n", b"\r", b"\n\n")))
    if dice.random() < 0.25:
        body = mutation.mutate(dice, body, _TOKENS)
    return body


# Long ones say nothing more here, and take a hundred times as long.
_RECORDED: Final = [each.body for each in RECORDED.values() if len(each.body) < 20_000]


def _add(dice: random.Random, blocks: list[bytes]) -> None:
    blocks.insert(dice.randrange(len(blocks) + 1), dice.choice(_BLOCKS))


def _drop(dice: random.Random, blocks: list[bytes]) -> None:
    if blocks:
        del blocks[dice.randrange(len(blocks))]


def _double(dice: random.Random, blocks: list[bytes]) -> None:
    if blocks:
        at = dice.randrange(len(blocks))
        blocks.insert(at, blocks[at])


def _swap(dice: random.Random, blocks: list[bytes]) -> None:
    if len(blocks) > 1:
        a, b = dice.sample(range(len(blocks)), 2)
        blocks[a], blocks[b] = blocks[b], blocks[a]


def _bend(dice: random.Random, blocks: list[bytes]) -> None:
    """Give one value in a block's JSON another one."""
    if not blocks:
        return
    at = dice.randrange(len(blocks))
    head, found, data = blocks[at].partition(b"data: ")
    if found:
        blocks[at] = head + found + bent(dice, data.rstrip(b"\n")) + b"\n\n"


_BLOCK_CHANGES: Final[tuple[Callable[[random.Random, list[bytes]], None], ...]] = (
    _add, _add, _drop, _double, _swap, _bend, _bend,
)  # fmt: skip


def bent(dice: random.Random, text: bytes) -> bytes:
    """JSON with one of its values replaced, removed, or there twice; other text as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    places = list(_places(value))
    if not places:
        return dice.choice(_VALUES)
    holder, key = dice.choice(places)
    kind = dice.random()
    if kind < 0.15:
        del holder[key]
        return json.dumps(value).encode()
    mark = "\N{BLACK SQUARE}mark"
    old = holder[key]
    holder[key] = mark
    new = dice.choice(_VALUES)
    if kind < 0.25 and isinstance(key, str):
        new += b", " + json.dumps(key).encode() + b": " + json.dumps(old).encode()
    return json.dumps(value).encode().replace(json.dumps(mark).encode(), new)


def _places(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict | list):
        return []
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    inner = [_places(holder[key]) for holder, key in found if isinstance(holder[key], dict | list)]
    return found + [place for places in inner for place in places]


def _json_body(dice: random.Random, api: str) -> bytes:
    body = APIS[api].whole(["Hel", "lo"], MODEL)
    for _ in range(dice.randrange(3)):
        body = bent(dice, body)
    return mutation.mutate(dice, body, _TOKENS) if dice.random() < 0.25 else body


# --- HTTP -------------------------------------------------------------------------------------


def _framed(dice: random.Random, body: bytes, *, streamed: bool) -> bytes:
    version = b"HTTP/1.0" if dice.random() < 0.05 else b"HTTP/1.1"
    status = b"200 OK" if dice.random() < 0.9 else dice.choice(_STATUSES)
    usual = b"text/event-stream" if streamed else b"application/json"
    lines = [version + b" " + status]
    lines.append(b"Content-Type: " + (usual if dice.random() < 0.9 else dice.choice(_TYPES)))
    lines += [dice.choice(_FIELDS) for _ in range(dice.choice((0, 0, 0, 1, 3)))]
    framing = dice.choices(("chunked", "length", "eof", "both"), (0.7, 0.15, 0.12, 0.03))[0]
    if framing in ("length", "both"):
        off = dice.choice((-1, 1, 10_000)) if dice.random() < 0.1 else 0
        lines.append(b"Content-Length: %d" % max(0, len(body) + off))
    if framing in ("chunked", "both"):
        lines.append(b"Transfer-Encoding: chunked")
        body = _chunked(dice, body)
    dice.shuffle(lines[1:])
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" if dice.random() < 0.03 else b""
    behind = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno" if dice.random() < 0.03 else b""
    return early + b"\r\n".join(lines) + b"\r\n\r\n" + body + behind


_STATUSES: Final = (
    b"200", b"201 Created", b"204 No Content", b"206 Partial", b"301 Moved", b"304 Not Modified",
    b"400 Bad Request", b"401 Unauthorized", b"404 Not Found", b"408 Request Timeout",
    b"413 Too Large", b"429 Too Many", b"500 Oops", b"502 Bad Gateway", b"503 Busy", b"599 Odd",
    b"999 Odd", b"100 Continue", b"101 Switching Protocols", b"000 None", b"20 No",
)  # fmt: skip


def _chunked(dice: random.Random, body: bytes) -> bytes:
    pieces = mutation.divided(body, mutation.cuts(dice, len(body), 8)) if body else []
    extension = b';a="b"' if dice.random() < 0.05 else b""
    coded = [b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces if piece]
    trailer = b"X-T: 1\r\n" if dice.random() < 0.05 else b""
    return b"".join(coded) + b"0\r\n" + trailer + b"\r\n"
