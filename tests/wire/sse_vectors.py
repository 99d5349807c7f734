"""Inputs of the event-stream grammar and what WHATWG says they mean.

The rows follow "9.2.6 Interpreting an event stream" of the HTML standard, and its own examples.
"""

from __future__ import annotations

from typing import NamedTuple

from tailrace.wire.sse import SseEvent


class Vector(NamedTuple):
    title: str
    stream: bytes
    events: list[SseEvent]
    retry: int | None = None
    last_event_id: str = ""


def event(data: bytes, kind: str = "", event_id: str = "") -> SseEvent:
    return SseEvent(kind, data, event_id)


ONE = [event(b"a")]
BOM = b"\xef\xbb\xbf"

VECTORS = [
    # Lines
    Vector("LF ends lines", b"data: a\n\n", ONE),
    Vector("CR ends lines", b"data: a\r\r", ONE),
    Vector("CRLF ends lines", b"data: a\r\n\r\n", ONE),
    Vector("kinds of line end may be mixed", b"data: a\r\n\rdata: b\n\r", [*ONE, event(b"b")]),
    Vector("LF CR is two line ends", b"data: a\n\rdata: b\n\n", [*ONE, event(b"b")]),
    Vector("CR CRLF is two line ends", b"data: a\r\r\ndata: b\r\r\n", [*ONE, event(b"b")]),
    Vector("CRLF is one line end within a block", b"data: a\r\ndata: b\r\n\r\n",
           [event(b"a\nb")]),
    Vector("a type goes with data after CRLF", b"event: x\r\ndata: a\r\n\r\n",
           [event(b"a", "x")]),
    Vector("U+2028 is data", b"data: a\xe2\x80\xa8b\n\n", [event(b"a\xe2\x80\xa8b")]),
    Vector("U+2029 is data", b"data: a\xe2\x80\xa9b\n\n", [event(b"a\xe2\x80\xa9b")]),
    Vector("U+0085 is data", b"data: a\xc2\x85b\n\n", [event(b"a\xc2\x85b")]),
    Vector(
        "VT, FF, FS, GS, RS and NUL are data",
        b"data: a\x0b\x0c\x1c\x1d\x1e\0b\n\n",
        [event(b"a\x0b\x0c\x1c\x1d\x1e\0b")],
    ),
    # Byte order mark
    Vector("one byte order mark is dropped", BOM + b"data: a\n\n", ONE),
    Vector("of two byte order marks one is dropped", BOM + BOM + b"data: a\n\ndata: b\n\n",
           [event(b"b")]),
    Vector("a later byte order mark is a name's part", b"\n" + BOM + b"data: a\n\n", []),
    Vector("a byte order mark in data is data", b"data:" + BOM + b"a\n\n", [event(BOM + b"a")]),
    Vector("half a byte order mark is a name's part", b"\xef\xbbdata: a\n\ndata: b\n\n",
           [event(b"b")]),
    Vector("a byte order mark may be all there is", BOM, []),
    # Data
    Vector("one space after the colon goes", b"data:  a\n\n", [event(b" a")]),
    Vector("the space may be missing", b"data:a\n\n", ONE),
    Vector("a tab stays", b"data:\ta\n\n", [event(b"\ta")]),
    Vector("a trailing space stays", b"data: a \n\n", [event(b"a ")]),
    Vector("colons in data stay", b"data: a: b:\n\n", [event(b"a: b:")]),
    Vector("lines of data are joined by LF", b"data: a\ndata:\ndata: b\n\n", [event(b"a\n\nb")]),
    Vector(
        "fields without a colon are empty",  # the standard's own example
        b"data\n\ndata\ndata\n\ndata:\n\n",
        [event(b""), event(b"\n"), event(b"")],
    ),
    Vector("a space alone is empty data", b"data: \n\n", [event(b"")]),
    Vector("bad UTF-8 is left to the reader", b"data: \xff\xe2\x82\n\n", [event(b"\xff\xe2\x82")]),
    # Comments and unknown fields
    Vector("comments are ignored", b":\n: x\ndata: a\n:data: b\n\n", ONE),
    Vector("a comment alone dispatches nothing", b": ping\n\n", []),
    Vector("unknown fields are ignored", b"foo: x\nbar\ndata: a\n\n", ONE),
    Vector("names are case-sensitive", b"Data: x\nDATA: x\ndata: a\n\n", ONE),
    Vector("a space before a name is its part", b" data: x\ndata: a\n\n", ONE),
    Vector("a space before the colon is the name's part", b"data : x\ndata: a\n\n", ONE),
    Vector("blank lines alone are nothing", b"\n\n\r\r\n\n", []),
    # Types
    Vector("a type is the block's", b"event: x\ndata: a\n\ndata: b\n\n",
           [event(b"a", "x"), event(b"b")]),
    Vector("the last type counts", b"event: x\nevent: y\ndata: a\n\n", [event(b"a", "y")]),
    Vector("an empty type is none", b"event: x\nevent\ndata: a\n\n", ONE),
    Vector("a type without data is forgotten", b"event: x\n\ndata: a\n\n", ONE),
    Vector("a type may come after data", b"data: a\nevent: x\n\n", [event(b"a", "x")]),
    Vector("bad UTF-8 in a type is U+FFFD", b"event: \xff\ndata: a\n\n", [event(b"a", "�")]),
    # Ids
    Vector("an id holds on", b"id: 1\ndata: a\n\ndata: b\n\n",
           [event(b"a", event_id="1"), event(b"b", event_id="1")], last_event_id="1"),
    Vector("an empty id resets it", b"id: 1\ndata: a\n\nid\ndata: b\n\n",
           [event(b"a", event_id="1"), event(b"b")]),
    Vector("an id without data counts", b"id: 1\n\ndata: a\n\n",
           [event(b"a", event_id="1")], last_event_id="1"),
    Vector("an id with NUL is ignored", b"id: 1\nid: 2\x00\ndata: a\n\n",
           [event(b"a", event_id="1")], last_event_id="1"),
    Vector("an unfinished block's id does not count", b"id: 1\ndata: a\n\nid: 2\ndata: b\n",
           [event(b"a", event_id="1")], last_event_id="1"),
    Vector("an id may hold spaces", b"id:  1 \ndata: a\n\n",
           [event(b"a", event_id=" 1 ")], last_event_id=" 1 "),
    # Retry
    Vector("retry is digits", b"retry: 1500\n\n", [], 1500),
    Vector("the last retry counts", b"retry: 1\nretry:2\n", [], 2),
    Vector("retry needs no blank line", b"retry: 10\n", [], 10),
    Vector("retry may be zero", b"retry: 0\n", [], 0),
    Vector("a sign is no digit", b"retry: 5\nretry: -1\nretry: +1\n", [], 5),
    Vector("a fraction is no digit", b"retry: 1.5\nretry: 1e3\n", []),
    Vector("a space is no digit", b"retry:  5\nretry: 5 \nretry: 1 0\n", []),
    Vector("other scripts' digits are none", "retry: ٣\nretry: ３\nretry: ²\n".encode(), []),
    Vector("empty retry is ignored", b"retry\nretry:\nretry: \n", []),
    Vector("absurdly long retry is ignored", b"retry: " + b"9" * 5000 + b"\n", []),
    # Ends
    Vector("a block without its blank line is dropped", b"data: a\n\ndata: b\n", ONE),
    Vector("a line without its end is dropped", b"data: a\n\ndata: b", ONE),
    Vector("nothing is nothing", b"", []),
]  # fmt: skip
