"""What every view must keep, and what each of them says."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.contracts import View
from tailrace.errors import BadRequest
from tailrace.model import DATA, ERROR, Ending, EndingKind, Event, format_offset
from tailrace.views import make_view, view_names
from tailrace.views.sse import greeting
from tailrace.wire.sse import Parser
from tests.views.ending_table import table

GENERATION = "0" * 26
TYPES = ["application/json", "text/plain; charset=utf-8", "application/octet-stream"]
VIEWS = [(name, content_type) for content_type in TYPES for name in view_names(content_type)]
# A character in three events, then a remark where another one is unfinished.
CUT = [(DATA, b"a\xe4"), (DATA, b"\xbd"), (DATA, b"\xa0b\xc3"), (ERROR, b"x"), (DATA, b"\xa9")]
CHUNK = b'{"choices":[{"index":0,"delta":{"content":"Hi"}}]}'

data = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(str.encode),
    st.just(CHUNK),
    st.text(max_size=5).map(
        lambda t: json.dumps({"choices": [{"delta": {"content": t}}]}).encode()
    ),
)
batches = st.lists(st.tuples(st.sampled_from([DATA, ERROR, "gap"]), data), max_size=8)


def events(records: list[tuple[str, bytes]]) -> list[Event]:
    return [Event(i, 1000 + i, kind, piece) for i, (kind, piece) in enumerate(records, start=1)]


def units(view: View, made: list[Event]) -> list[int]:
    """The places at which the view can stop."""
    places: list[int] = []
    start = 0
    while start < len(made):
        start += view.whole(made[start:], fewest=True, last=True)
        places.append(start)
    return places


def lf(data: bytes) -> bytes:
    """Line ends as an event source reads them."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def ending(kind: EndingKind, seq: int = 3, reason: str = "why\nso") -> Ending:
    return Ending(kind, reason, seq, 5)


@pytest.mark.parametrize(("name", "content_type"), VIEWS)
@given(records=batches, cut=st.integers(0, 8))
@example(records=CUT, cut=1)
def test_batches_may_be_cut_wherever_the_view_says(
    name: str, content_type: str, records: list[tuple[str, bytes]], cut: int
) -> None:
    view = make_view(name, content_type)
    made = events(records)
    place = [0, *units(view, made)][: cut + 1][-1]
    first, rest = made[:place], made[place:]
    whole = view.encode(GENERATION, made)
    assert whole == view.encode(GENERATION, first) + view.encode(GENERATION, rest)
    assert whole == make_view(name, content_type).encode(GENERATION, made)


@given(records=batches, content_type=st.sampled_from(TYPES))
@example(records=CUT, content_type="text/plain")
def test_an_event_source_reads_back_each_unit_with_its_offset(
    records: list[tuple[str, bytes]], content_type: str
) -> None:
    view = make_view("sse", content_type)
    made = events(records)
    got = Parser(10**6).feed(view.encode(GENERATION, made))
    places = units(view, made)
    assert [e.id for e in got] == [format_offset(GENERATION, place) for place in places]
    start = 0
    for place, event in zip(places, got, strict=True):
        data = b"".join(part.data for part in made[start:place])
        binary = content_type == "application/octet-stream" and made[start].type == DATA
        read = b64decode(event.data) if binary else event.data
        assert read == (data if binary else lf(data))
        start = place


def test_an_event_source_never_gets_half_a_character_that_was_completed() -> None:
    got = Parser(10**6).feed(make_view("sse", "text/plain").encode(GENERATION, events(CUT)))
    assert [(e.type, e.data) for e in got] == [
        ("", "a你b".encode() + b"\xc3"), ("error", b"x"), ("", b"\xa9")
    ]  # fmt: skip


@given(records=batches, content_type=st.sampled_from(TYPES))
def test_ndjson_is_one_line_of_utf8_for_each_event(
    records: list[tuple[str, bytes]], content_type: str
) -> None:
    valid = [(k, d) for k, d in records if content_type != TYPES[0] or k != DATA or d == CHUNK]
    out = make_view("ndjson", content_type).encode(GENERATION, events(valid))
    lines = out.decode("utf-8").split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["type"] for line in lines] == [kind for kind, _ in valid]


def test_ndjson_keeps_the_original_json() -> None:
    piece = b'{"a":1.0,\n"big":123456789012345678901234567890,"a":2}'
    out = make_view("ndjson", TYPES[0]).encode(GENERATION, events([(DATA, piece)]))
    assert piece.replace(b"\n", b" ") in out


@pytest.mark.parametrize("kind", EndingKind)
@pytest.mark.parametrize(("name", "content_type"), VIEWS)
def test_only_a_completed_answer_looks_complete(
    name: str, content_type: str, kind: EndingKind
) -> None:
    closing = make_view(name, content_type).end(GENERATION, ending(kind))
    if name == "text":
        assert closing == (b"", kind is EndingKind.COMPLETED)
        return
    assert closing.whole
    if name == "openai":
        assert (b"[DONE]" in closing.data) == (kind is EndingKind.COMPLETED)
        assert (b'"error"' in closing.data) == (kind is not EndingKind.COMPLETED)
    else:
        assert kind.value.encode() in closing.data


def test_the_end_event_has_the_endings_own_id() -> None:
    closing = make_view("sse", TYPES[0]).end(GENERATION, ending(EndingKind.CUT, seq=9))
    (event,) = Parser(1000).feed(closing.data)
    assert (event.type, event.id) == ("end", format_offset(GENERATION, 9))
    assert json.loads(event.data) == {"ending": "cut", "reason": "why\nso"}


def test_the_openai_view_has_no_word_of_ours() -> None:
    view = make_view("openai", TYPES[0])
    out = view.encode(GENERATION, events([(DATA, CHUNK), (ERROR, b"{}"), (DATA, CHUNK)]))
    assert out == b"data: " + CHUNK + b"\n\ndata: " + CHUNK + b"\n\n"
    # openai-python decodes `: ping` and a blank line as an event once it has seen an id.
    assert view.heartbeat == b": ping\n"


@pytest.mark.parametrize(("name", "content_type"), VIEWS)
def test_a_farewell_is_never_an_ending(name: str, content_type: str) -> None:
    closing = make_view(name, content_type).farewell(1500)
    assert not closing.whole
    assert b"end" not in closing.data or name == "openai"
    assert b"[DONE]" not in closing.data
    if name == "sse":
        assert closing.data == b"retry: 1500\n\n"


def test_the_greeting_is_a_place_before_the_first_event() -> None:
    (event,) = Parser(1000).feed(greeting(GENERATION, "/streams/chat/x"))
    assert (event.type, event.id) == ("stream", format_offset(GENERATION, 0))
    assert json.loads(event.data) == {"url": "/streams/chat/x"}


def test_an_unknown_view_is_told_which_there_are() -> None:
    with pytest.raises(BadRequest, match="sse, text, ndjson"):
        make_view("xml", "text/plain")
    with pytest.raises(BadRequest):
        make_view("openai", "text/plain")


def test_text_of_another_stream_never_becomes_html() -> None:
    assert make_view("text", "text/html; charset=utf-8").media_type == b"text/plain; charset=utf-8"


def test_the_page_shows_how_each_view_says_each_ending() -> None:
    page = (Path(__file__).parents[2] / "docs" / "views.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("<!-- python -m tests.views.ending_table -->\n")
    assert rest.partition("<!-- end -->")[0] == table(), "python -m tests.views.ending_table"
