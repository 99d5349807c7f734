"""The protocol's own event stream, as a client reads it back."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import DATA, ERROR, Ending, EndingKind, Event, Offset, format_offset
from tailrace.views.durable import ControlMarker, DurableView
from tailrace.wire.sse import Parser, SseEvent

GENERATION = "01hzy7m2k4q8s0w6x3v5t9r1ab"
END = Ending(EndingKind.CUT, "why", 9, 5)


def offset(seq: int) -> str:
    return format_offset(GENERATION, seq)


def made(*data: bytes) -> list[Event]:
    return [Event(seq, 5, DATA, piece) for seq, piece in enumerate(data, start=1)]


def read(stream: bytes) -> list[SseEvent]:
    return Parser(10**6).feed(stream)


@pytest.mark.parametrize(
    ("content_type", "data", "shown"),
    [
        ("text/plain", [b"a", b" b"], b"data:a b\n\n"),
        ("text/plain", [b" a\r\nb\n"], b"data:  a\ndata:b\ndata:\n\n"),
        ("Text/HTML; charset=utf-8", ["ü\u2028".encode()], b"data:\xc3\xbc\xe2\x80\xa8\n\n"),
        ("application/json", [b"1.0", b'{"a":1,"a":2}'], b'data:[1.0,{"a":1,"a":2}]\n\n'),
        ("application/json", [b"[1,\n2]"], b"data:[[1,\ndata:2]]\n\n"),
        ("application/octet-stream", [b"\xff", b"\x00\n"], b"data:/wAK\n\n"),
        ("", [b"a"], b"data:YQ==\n\n"),
    ],
)
def test_a_batch_is_one_frame(content_type: str, data: list[bytes], shown: bytes) -> None:
    frame = DurableView(content_type).encode(GENERATION, made(*data))
    head = f"id: {offset(len(data))}\nevent: data\n".encode()
    assert frame == head + shown


def test_what_is_no_data_is_passed_over_and_counted() -> None:
    view = DurableView("application/json")
    events = [Event(1, 5, ERROR, b"{}"), Event(2, 5, DATA, b"1"), Event(3, 5, "gap", b"{}")]
    (frame,) = read(view.encode(GENERATION, events))
    assert (frame.type, frame.data, frame.id) == ("data", b"[1]", offset(3))
    assert view.encode(GENERATION, events[:1]) == b""


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=9), st.data())
def test_binary_data_come_back_whatever_the_batches(data: list[bytes], draw: st.DataObject) -> None:
    view, events = DurableView("image/png"), made(*data)
    cut = draw.draw(st.integers(0, len(events)))
    frames = read(view.encode(GENERATION, events[:cut]) + view.encode(GENERATION, events[cut:]))
    assert b"".join(b64decode(frame.data, validate=True) for frame in frames) == b"".join(data)
    assert frames[-1].id == offset(len(data))


@given(st.lists(st.recursive(st.integers() | st.text(), st.lists), min_size=1), st.data())
def test_messages_come_back_whatever_the_batches(
    messages: list[object], draw: st.DataObject
) -> None:
    indent = draw.draw(st.sampled_from([None, 1]))
    view = DurableView("application/json")
    events = made(*(json.dumps(message, indent=indent).encode() for message in messages))
    cut = draw.draw(st.integers(0, len(events)))
    frames = read(view.encode(GENERATION, events[:cut]) + view.encode(GENERATION, events[cut:]))
    assert [message for frame in frames for message in json.loads(frame.data)] == messages


@given(
    st.text("aé漢🌊", max_size=6), st.lists(st.tuples(st.integers(1, 3), st.booleans())), st.data()
)
def test_text_reads_the_same_whatever_the_batches_and_remarks(
    whole_text: str, cuts: list[tuple[int, bool]], draw: st.DataObject
) -> None:
    records: list[tuple[str, bytes]] = []
    left = whole_text.encode()
    for size, remarked in [*cuts, (len(left), False)]:
        records += [(DATA, left[:size])] if left else []
        records += [(ERROR, b"{}")] if remarked else []
        left = left[size:]
    events = [Event(seq, 5, kind, data) for seq, (kind, data) in enumerate(records, 1)]
    view = DurableView("text/plain")

    def text(batches: list[list[Event]]) -> str:
        frames = [frame for batch in batches for frame in read(view.encode(GENERATION, batch))]
        return "".join(frame.data.decode("utf-8", "replace") for frame in frames)

    batches, rest = [], events
    while rest:
        count = draw.draw(st.integers(1, len(rest)))
        whole = view.whole(rest[:count], fewest=False, last=count == len(rest))
        batches.append(rest[: whole or len(rest)])
        rest = rest[whole or len(rest) :]
    assert text(batches) == text([events] if events else [])


@pytest.mark.parametrize("content_type", ["application/json", "image/png"])
def test_only_text_has_to_wait_for_what_follows(content_type: str) -> None:
    events = made(b"\xe4", b"\xbd")
    assert DurableView(content_type).whole(events, fewest=False, last=False) == 2
    assert DurableView(content_type).whole(events, fewest=True, last=False) == 1
    assert DurableView("text/plain").whole(events, fewest=False, last=False) == 0
    assert DurableView("text/plain").whole(events, fewest=False, last=True) == 2


def test_it_ends_without_a_word_and_leaves_so_that_clients_come_back() -> None:
    view = DurableView("text/plain")
    assert view.end(GENERATION, END) == (b"", True)
    assert view.farewell(1500) == (b"retry: 1500\n\n", False)
    assert view.heartbeat == b": ping\n\n"


def marked(*, caught_up: bool, closed: bool) -> SseEvent:
    marker = ControlMarker(lambda: "123", GENERATION, lambda: END if closed else None)
    (frame,) = read(marker.mark(Offset(GENERATION, 7), caught_up=caught_up, closed=closed))
    assert frame.type == "control"
    return frame


@pytest.mark.parametrize(
    ("caught_up", "said"),
    [
        (False, {"streamNextOffset": offset(7), "streamCursor": "123"}),
        (True, {"streamNextOffset": offset(7), "streamCursor": "123", "upToDate": True}),
    ],
)
def test_a_reader_is_told_how_far_it_has_come(caught_up: bool, said: dict[str, object]) -> None:
    frame = marked(caught_up=caught_up, closed=False)
    assert json.loads(frame.data) == said
    assert frame.id == "", "a reconnecting EventSource would come back with it"


def test_the_last_one_says_that_the_stream_is_closed_and_has_the_endings_id() -> None:
    frame = marked(caught_up=True, closed=True)
    assert json.loads(frame.data) == {
        "streamNextOffset": offset(7),
        "upToDate": True,
        "streamClosed": True,
        "streamEnding": "cut",
    }
    assert frame.id == offset(END.seq)
