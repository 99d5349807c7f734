"""Generates raw HTTP requests: some right, most nearly so."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote

from tests.e2e import test_hostile as hostile
from tests.fuzz import mutation

LINK: Final = b"/streams/chat/LINK"
"""Stands for the link of an answer, which the server chooses."""
MARKED: Final = b"/streams/smuggled/"
"""Below it a request inside a body makes its stream: it must never be there."""

_METHODS: Final = (
    b"GET", b"GET", b"GET", b"POST", b"POST", b"POST", b"PUT", b"PUT", b"DELETE", b"HEAD",
    b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"get", b"PROPFIND", b"PRI", b"G\0T", b"",
)  # fmt: skip
_NAMES: Final = (
    b"/streams/f/text", b"/streams/f/json", b"/streams/f/bytes", b"/streams/f/html",
    b"/streams/f/" + "ü".encode(), b"/streams/f/%C3%BC", b"/v1/stream/f/text", LINK,
    b"/streams/" + b"n" * 300, b"/streams/f/../text", b"/streams/__ds/x", b"/streams/chat/x",
    b"/streams/f/%2e", b"/streams/f//x", b"/streams/f/%00", b"/streams/f/%ff", b"/streams/",
)  # fmt: skip
_PLACES: Final = (
    b"/", b"/health", b"/stream", b"/streams", b"/page/follow", b"/page/x", b"/page/../x", b"*",
    b"/v1/models", b"/v1/chat/completions", b"/v1/completions", b"/v1/responses", b"/v1/messages",
    b"/v1/responses/resp_1", b"/v1/chat/completions/x", b"/v1/responses/resp_1/cancel",
    b"/v1/files", b"/v1/files/%2e%2e/x", b"/v1/embeddings", b"/v1", b"/v1/", b"//", b"/..", b"",
    b"http://127.0.0.1/health", b"http://evil.example/health", b"/favicon.ico", b"/v1/stream",
)  # fmt: skip
_QUERIES: Final = (
    b"offset=-1", b"offset=now", b"offset=x", b"offset=-1&offset=-1", b"live=sse", b"view=ndjson",
    b"live=long-poll&offset=now", b"live=long-poll", b"view=text", b"view=sse", b"view=openai",
    b"content=hi", b"content=", b"content=hi&model=m&x=1", b"content=%ff", b"content=%00", b"&=&",
    b"prefix=f&limit=2", b"limit=-1", b"limit=99999999999999999999", b"before=x", b"offset=",
    b"system=x&content=y", b"content=" + b"z" * 2000, b"stop=1&content=x", b"cursor=1", b"a" * 900,
    b"offset=0_0", b"offset=00000000000000000000000000_0000000000000001", b"live=&view=",
    b"content=a&content=b", b"limit=0", b"prefix=%F0%9F", b"include=x", b"stream=true",
)  # fmt: skip
_FIELDS: Final = (
    b"Accept: text/event-stream", b"Accept: */*", b"Accept: ;q=,", b"Last-Event-ID: x",
    b"Last-Event-ID: -1", b"If-None-Match: \"x\"", b"If-None-Match: *", b"Range: bytes=0-1",
    b"Connection: close", b"Connection: keep-alive", b"Connection: upgrade", b"Upgrade: h2c",
    b"Upgrade: websocket", b"Expect: 100-continue", b"Expect: 200-ok", b"Origin: null",
    b"Origin: https://evil.example", b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Site: same-origin",
    b"Stream-Closed: true", b"Stream-Closed: maybe", b"Stream-Seq: 1", b"Stream-Seq: " + b"9" * 99,
    b"Stream-TTL: 1", b"Stream-TTL: -1", b"Stream-TTL: 99999999999999999999", b"Stream-TTL: 1e3",
    b"Stream-Expires-At: 2020-01-01T00:00:00Z", b"Stream-Expires-At: x", b"Producer-Id: p",
    b"Producer-Id: p\r\nProducer-Epoch: 0\r\nProducer-Seq: 0", b"Producer-Seq: -1",
    b"Producer-Id: p\r\nProducer-Epoch: 9007199254740993\r\nProducer-Seq: 1",
    b"Stream-Forked-From: /streams/f/text", b"Stream-Forked-From: /streams/f/none",
    b"Stream-Fork-Offset: -1", b"Stream-Fork-Offset: x", b"Stream-Fork-Sub-Offset: 1",
    b"Idempotency-Key: k", b"Idempotency-Key: " + b"k" * 300, b"Prefer: respond-async",
    b"Tailrace-Disconnect: cancel", b"Tailrace-Disconnect: keep=1", b"Tailrace-Disconnect: x",
    b"Authorization: Bearer x", b"Authorization: Basic eDp5", b"x-api-key: y", b"Cookie: a=b",
    b"Content-Encoding: gzip", b"Content-Type: application/json", b"Content-Type: text/plain",
    b"Content-Type: text/html", b"Content-Type: application/x-www-form-urlencoded",
    b"Content-Type: multipart/form-data; boundary=x", b"Content-Type: a/b, text/html",
    b"Content-Type: \xff", b"Content-Type: application/octet-stream", b"Host: evil.example",
    b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked", b"Trailer: x",
    b"Content-Length: 5", b"Content-Length: 05", b"Content-Length: 5, 5", b"X: \xe2\x80\xa8",
    b" folded: x", b"X : y", b"X", b": x", b"X:" + b"y" * 3000, b"Te: trailers", b"X: a\tb",
    b"X-Stainless-Retry-Count: 2", b"OpenAI-Beta: x", b"anthropic-version: 2023-06-01",
    b"Access-Control-Request-Method: POST", b"Referer: https://evil.example/", b"Keep-Alive: 1",
)  # fmt: skip
_TOKENS: Final = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\r\n\r\n", b"0\r\n\r\n", b"\xff", b"%", b"?",
    b"/", b"..", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n", b"\x0b", b"\x85",
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"ffffffffffffffff1\r\n", b"-", b"+", b",",
    b"Host: 127.0.0.1\r\n", b"#", b";", b"\\", b"@", b"\xc0\xaf", b"\xed\xa0\x80", b"[", b"&",
)  # fmt: skip

_VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1.5, 1e308, 10**30, "", "x", "\0", "\ud800", "ü" * 50, [], {}, [[]], [None],
    {"": {}}, ["a"] * 300, "f/text", "-1", {"content": [{"type": "text", "text": "hi"}]},
)  # fmt: skip


@dataclass(frozen=True)
class Bytes:
    """What one client sends on one connection, in the pieces in which it sends them."""

    pieces: tuple[bytes, ...]


def make_requests(dice: random.Random) -> Bytes:
    """Generate one to three requests behind each other."""
    requests = [_request(dice) for _ in range(dice.choice((1, 1, 1, 1, 2, 3)))]
    data = b"".join(requests)
    if dice.random() < 0.45:
        data = mutation.mutate(dice, data, _TOKENS)
    return Bytes(tuple(mutation.divided(data, mutation.cuts(dice, len(data), 3))))


def _request(dice: random.Random) -> bytes:
    if dice.random() < 0.15:
        return dice.choice(_HOSTILE)
    method, target, fields, body = _frame(dice)
    version = b"HTTP/1.1" if dice.random() < 0.95 else dice.choice((b"HTTP/1.0", b"HTTP/2", b""))
    lines = [b"Host: 127.0.0.1"] if dice.random() < 0.97 else []
    lines += fields
    lines += [dice.choice(_FIELDS) for _ in range(dice.choice((0, 0, 1, 1, 2, 5)))]
    if body or dice.random() < 0.1:
        body = _framed(dice, lines, body)
    if dice.random() < 0.1:
        dice.shuffle(lines)
    head = b"\r\n".join([method + b" " + target + b" " + version, *lines])
    return head + b"\r\n\r\n" + body


def _frame(dice: random.Random) -> tuple[bytes, bytes, list[bytes], bytes]:
    """Method, target, fields and body, which belong together more often than not."""
    kind = dice.random()
    if kind < 0.3:
        path, content_type, body = dice.choice(_QUESTIONS)(dice)
        return b"POST", path, [b"Content-Type: " + content_type], body
    if kind < 0.6:
        name, content_type = dice.choice(_OWN)
        body = dice.choice(_BODIES)(dice)
        query = b"?" + dice.choice(_QUERIES) if dice.random() < 0.3 else b""
        return dice.choice(_METHODS[:10]), name + query, [b"Content-Type: " + content_type], body
    target = dice.choice(_NAMES + _PLACES)
    while dice.random() < 0.4:
        target += (b"&" if b"?" in target else b"?") + dice.choice(_QUERIES)
    body = dice.choice(_BODIES)(dice) if dice.random() < 0.3 else b""
    return dice.choice(_METHODS), target, [], body


def _framed(dice: random.Random, lines: list[bytes], body: bytes) -> bytes:
    kind = dice.random()
    if kind < 0.6:
        off = dice.choice((-1, 1, 5, 10**6)) if dice.random() < 0.08 else 0
        lines.append(b"Content-Length: %d" % max(0, len(body) + off))
        return body
    if kind < 0.95:
        lines.append(b"Transfer-Encoding: " + dice.choice((b"chunked", b"chunked", b"Chunked")))
        pieces = mutation.divided(body, mutation.cuts(dice, len(body), 4)) if body else []
        extension = b";a=b" if dice.random() < 0.1 else b""
        coded = [b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces if piece]
        trailer = b"X-T: 1\r\n" if dice.random() < 0.1 else b""
        return b"".join(coded) + b"0\r\n" + trailer + b"\r\n"
    if kind < 0.98:
        lines += [b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked"]
    return body


# --- bodies -----------------------------------------------------------------------------------


def _marker(dice: random.Random) -> bytes:
    """A request inside a body."""
    number = b"%x" % dice.getrandbits(48)
    return (
        b"PUT " + MARKED + number + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: text/plain\r\n\r\n"
    )


def _json(dice: random.Random, value: Any) -> bytes:
    """JSON, with some of its values changed."""
    value = json.loads(json.dumps(value))
    for _ in range(dice.choice((0, 0, 1, 2))):
        holder = value
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = dice.choice(keys)
            if isinstance(holder[key], dict | list) and dice.random() < 0.6:
                holder = holder[key]
                continue
            holder[key] = copy.deepcopy(dice.choice(_VALUES))
            break
    return json.dumps(value, ensure_ascii=dice.random() < 0.9).encode("utf-8", "surrogatepass")


def _question(dice: random.Random, path: bytes, **asked: Any) -> tuple[bytes, bytes, bytes]:
    content_type = b"application/json" if dice.random() < 0.95 else b"text/plain"
    common = {"model": "m", "stream": dice.random() < 0.7, "max_tokens": 5}
    return path, content_type, _json(dice, {**common, **asked})


def _chat(dice: random.Random) -> tuple[bytes, bytes, bytes]:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
    more = {"n": 2, "stream_options": {"include_usage": True}} if dice.random() < 0.3 else {}
    return _question(dice, b"/v1/chat/completions", messages=messages, **more)


def _completion(dice: random.Random) -> tuple[bytes, bytes, bytes]:
    return _question(dice, b"/v1/completions", prompt=dice.choice(("hi", ["a", "b"], [1, 2])))


def _response(dice: random.Random) -> tuple[bytes, bytes, bytes]:
    said = dice.choice(("hi", [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]))
    more = {"background": True} if dice.random() < 0.3 else {"store": False}
    return _question(dice, b"/v1/responses", input=said, **more)


def _message(dice: random.Random) -> tuple[bytes, bytes, bytes]:
    return _question(dice, b"/v1/messages", messages=[{"role": "user", "content": "hi"}])


def _form(dice: random.Random) -> tuple[bytes, bytes, bytes]:
    fields = [dice.choice(_QUERIES) for _ in range(dice.choice((1, 2, 3, 200)))]
    return b"/stream", b"application/x-www-form-urlencoded", b"&".join([b"content=hi", *fields])


def _follow(dice: random.Random) -> tuple[bytes, bytes, bytes]:
    streams = [{"name": "f/text", "offset": "-1"}, {"name": "f/none"}]
    return b"/page/follow", b"application/json", _json(dice, {"streams": streams, "list": True})


_QUESTIONS: Final = (_chat, _chat, _completion, _response, _message, _form, _follow)
_OWN: Final = (
    (b"/streams/f/text", b"text/plain"),
    (b"/streams/f/json", b"application/json"),
    (b"/streams/f/bytes", b"application/octet-stream"),
    (b"/streams/f/html", b"text/html"),
    (b"/v1/stream/f/json", b"application/json"),
)
_BODIES: Final = (
    _marker,
    _marker,
    lambda dice: dice.randbytes(dice.randrange(60)),
    lambda dice: _json(dice, [{"a": 1}, 2.0, "x", None]),
    lambda dice: _json(dice, {"a": [1, {"b": "c"}]}),
    lambda dice: b"[" + b",".join([b"1"] * dice.randrange(3000)) + b"]",
    lambda dice: b"[" * (deep := dice.choice((10, 500, 20_000))) + b"]" * deep,
    lambda dice: dice.choice((b"[]", b"[[]]", b"NaN", b'"\\ud800"', b"\xff", b"[1,]", b" ", b"01")),
    lambda dice: b"x" * dice.choice((1, 4096, 66_000, 140_000)),
    lambda dice: quote(dice.choice(("data: x", "ü", "\0"))).encode(),
)


def _hostile_requests() -> list[bytes]:
    """Those of tests/e2e/test_hostile.py."""
    site: Any = SimpleNamespace(
        authority="127.0.0.1",
        server=SimpleNamespace(port=80),
        link=LINK.decode(),
        other="/streams/chat/OTHER",
    )
    rows = (*hostile.PAGES, *hostile.HOSTS, *hostile.NAMES, *hostile.GOOD)
    requests = [row.request(site) for row in rows]
    return [each for each in (*requests, *hostile.SMUGGLED.values()) if len(each) < 10_000]


_HOSTILE: Final = _hostile_requests()
