"""The bytes of each view, written out: a client somewhere depends on every one of them."""

from __future__ import annotations

import pytest

from tailrace.model import DATA, ERROR, Ending, EndingKind, Event
from tailrace.views import make_view
from tailrace.views.sse import greeting

GENERATION = "01hzy7m2k4q8s0w6x3v5t9r1ab"
JSON = "application/json; charset=utf-8"
TEXT = "text/markdown"
ID = f"{GENERATION}_0000000000000007".encode()


@pytest.mark.parametrize(
    ("name", "content_type", "kind", "data", "shown"),
    [
        ("sse", TEXT, DATA, b"a", b"id: " + ID + b"\ndata: a\n\n"),
        ("sse", TEXT, DATA, b"", b"id: " + ID + b"\ndata: \n\n"),
        ("sse", TEXT, DATA, b" a\r\nb\rc\n", b"id: " + ID + b"\n"
         b"data:  a\ndata: b\ndata: c\ndata: \n\n"),
        ("sse", TEXT, DATA, b"\xff\xe2\x80\xa8", b"id: " + ID + b"\ndata: \xff\xe2\x80\xa8\n\n"),
        ("sse", JSON, ERROR, b"{}", b"id: " + ID + b"\nevent: error\ndata: {}\n\n"),
        ("text", TEXT, DATA, b"\xffa\r\n", b"\xffa\r\n"),
        ("text", TEXT, ERROR, b"x", b""),
        ("text", JSON, DATA, b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}', "a\ufffd".encode()),
        ("text", JSON, DATA, b'{"choices":[{"delta":{"content":"\xf0\x9f"}}]}',
         "\ufffd\ufffd".encode()),
        ("text", JSON, DATA, b"[1]", b""),
        ("ndjson", TEXT, DATA, 'é"\n'.encode(), b'{"id":"' + ID + b'","time":5,"type":"data",'
         b'"data":"\xc3\xa9\\"\\n"}\n'),
        ("ndjson", TEXT, DATA, b"\xc3", b'{"id":"' + ID + b'","time":5,"type":"data",'
         b'"data":"ww==","encoding":"base64"}\n'),
        ("ndjson", JSON, DATA, b'{"a":\r\n1.0,"a":"\xff\xc3\xa9"}', b'{"id":"' + ID + b'","time":5,'
         b'"type":"data","data":{"a":  1.0,"a":"\xef\xbf\xbd\xc3\xa9"}}\n'),
        ("ndjson", JSON, ERROR, b"{", b'{"id":"' + ID + b'","time":5,"type":"error","data":"{"}\n'),
        ("openai", JSON, DATA, b'{"a":"\xff"}', b'data: {"a":"\xff"}\n\n'),
        ("openai", JSON, DATA, b'{"a":\n1}', b'data: {"a":\ndata: 1}\n\n'),
        ("openai", JSON, ERROR, b"{}", b""),
    ],
)  # fmt: skip
def test_an_event_looks_like_this(
    name: str, content_type: str, kind: str, data: bytes, shown: bytes
) -> None:
    assert make_view(name, content_type).encode(GENERATION, [Event(7, 5, kind, data)]) == shown


@pytest.mark.parametrize(
    ("name", "media_type", "heartbeat"),
    [
        ("sse", b"text/event-stream", b": ping\n\n"),
        ("text", b"text/plain; charset=utf-8", b""),
        ("ndjson", b"application/x-ndjson", b"\n"),
        ("openai", b"text/event-stream", b": ping\n"),
    ],
)
def test_a_view_is_called_and_kept_alive_like_this(
    name: str, media_type: bytes, heartbeat: bytes
) -> None:
    view = make_view(name, JSON)
    assert (view.name, view.media_type, view.heartbeat) == (name, media_type, heartbeat)


@pytest.mark.parametrize(
    ("name", "content_type", "media_type"),
    [
        ("text", "text/csv", b"text/plain; charset=utf-8"),
        ("text", "Text/CSV; charset=latin-1", b"text/plain; charset=latin-1"),
        ("text", "application/octet-stream; x=y", b"text/plain; charset=utf-8"),
    ],
)
def test_text_keeps_a_text_streams_charset_for_its_bytes_go_out_unchanged(
    name: str, content_type: str, media_type: bytes
) -> None:
    assert make_view(name, content_type).media_type == media_type


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sse", b"id: " + ID + b'\nevent: end\ndata: {"ending": "cut", "reason": ""}\n\n'),
        ("text", b""),
        ("ndjson", b'{"id":"' + ID + b'","time":5,"type":"end","ending":"cut","reason":""}\n'),
        ("openai", b'data: {"error":{"message":"The upstream\'s connection ended in the middle of '
         b'the answer.","type":"stream_cut","code":"cut","param":null}}\n\n'),
    ],
)  # fmt: skip
def test_an_ending_without_a_reason_looks_like_this(name: str, shown: bytes) -> None:
    assert make_view(name, JSON).end(GENERATION, Ending(EndingKind.CUT, "", 7, 5)).data == shown


@pytest.mark.parametrize("kind", [kind for kind in EndingKind if kind != "completed"])
def test_every_openai_error_has_words(kind: EndingKind) -> None:
    closing = make_view("openai", JSON).end(GENERATION, Ending(kind, "", 7, 5))
    assert b'"message":""' not in closing.data


def test_a_farewell_looks_like_this() -> None:
    farewells = {
        name: make_view(name, JSON).farewell(1500).data for name in ("sse", "text", "ndjson")
    }
    assert farewells == {"sse": b"retry: 1500\n\n", "text": b"", "ndjson": b""}
    openai = make_view("openai", JSON).farewell(1500).data
    assert openai.startswith(b'data: {"error":{"message":"The server is going away')
    assert openai.endswith(b'"type":"stream_interrupted","code":"interrupted","param":null}}\n\n')


def test_the_greeting_looks_like_this() -> None:
    assert greeting(GENERATION, "/streams/chat/x") == (
        f"id: {GENERATION}_0000000000000000\n".encode()
        + b'event: stream\ndata: {"url": "/streams/chat/x"}\n\n'
    )
