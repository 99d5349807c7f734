from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.wire.sse import (
    EventTooLarge,
    Parser,
    SseEvent,
    encode_comment,
    encode_event,
    encode_retry,
)
from tests.wire.sse_vectors import VECTORS, Vector

CAPTURES = Path(__file__).parent / "llm" / "data"
ROOM = 1 << 20

# Bytes among which every rule of the grammar is likely to be met.
_PIECES = [
    b"data", b"event", b"id", b"retry", b"data: ", b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n",
    b"\xef\xbb\xbf", b"\xef", b"\xbb", b"\0", b"12", b"x", b"\xe2\x80\xa8", b"\xff", b"\xc2\x85",
]  # fmt: skip
streams = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=3), max_size=40).map(b"".join)


def parse(pieces: list[bytes], flush: bool = False) -> tuple[list[SseEvent], int | None, str]:
    parser = Parser(ROOM)
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.finish(flush), parser.retry, parser.last_event_id


def expected(vector: Vector) -> tuple[list[SseEvent], int | None, str]:
    return vector.events, vector.retry, vector.last_event_id


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.title)
def test_a_stream_means_what_the_standard_says_however_it_is_cut(vector: Vector) -> None:
    assert parse([vector.stream]) == expected(vector)
    for cut in range(len(vector.stream) + 1):
        assert parse([vector.stream[:cut], b"", vector.stream[cut:]]) == expected(vector), cut
    assert parse(single_bytes(vector.stream)) == expected(vector)


@given(streams, st.lists(st.integers(0, 200)), st.booleans())
@example(b"\xef\xbb\xbfdata: a\r\n\r\n", [1, 2, 11, 12], False)
def test_any_cut_of_any_input_parses_alike(stream: bytes, cuts: list[int], flush: bool) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert parse(pieces, flush) == parse([stream], flush) == parse(single_bytes(stream), flush)


@pytest.mark.parametrize("forgotten", [b"data: b\n", b"data: b", b"data: b\r", b"data: b\r\n"])
def test_flushing_dispatches_a_block_whose_line_ends_were_forgotten(forgotten: bytes) -> None:
    events, _, _ = parse([b"data: a\n\n" + forgotten], flush=True)
    assert [event.data for event in events] == [b"a", b"b"]


def test_flushing_a_finished_stream_adds_nothing() -> None:
    assert [event.data for event in parse([b"data: a\n\n"], flush=True)[0]] == [b"a"]


def test_a_line_of_ten_megabytes_in_tiny_pieces_is_linear_work() -> None:
    # 160 000 pieces: were each to touch all that came before it, this would copy 800 GB and
    # run into the suite's limit of two minutes; as it is it takes a tenth of a second.
    parser = Parser(10 << 20)
    piece = b"x" * 64
    assert parser.feed(b"data: ") == []
    for _ in range(160_000):
        assert parser.feed(piece) == []
    (event,) = parser.feed(b"\n\n")
    assert event.data == piece * 160_000


def test_an_event_of_many_small_lines_is_linear_work() -> None:
    parser = Parser(10 << 20)
    for _ in range(100_000):
        assert parser.feed(b"data: x\n") == []
    (event,) = parser.feed(b"\n")
    assert len(event.data) == 199_999


LIMIT = 20


@pytest.mark.parametrize(
    "fits",
    [
        b"data: " + b"x" * LIMIT,
        b"data: " + b"x" * 9 + b"\ndata: " + b"x" * 10,
        b"data\n" * LIMIT + b"data",
        b":" + b"x" * (LIMIT + 5),
    ],
)
def test_an_event_may_be_as_large_as_the_limit_and_not_a_byte_larger(fits: bytes) -> None:
    for pieces in ([fits + b"\n\n"], single_bytes(fits + b"\n\n")):
        parser = Parser(LIMIT)
        for piece in pieces:
            parser.feed(piece)
    too_large = fits + (b"\ndata" if fits.endswith(b"data") else b"x")
    for pieces in ([too_large + b"\n\n"], single_bytes(too_large + b"\n\n")):
        parser = Parser(LIMIT)
        with pytest.raises(EventTooLarge, match="20 bytes"):
            for piece in pieces:
                parser.feed(piece)


def test_events_before_the_one_that_is_too_large_are_not_lost() -> None:
    with pytest.raises(EventTooLarge) as caught:
        Parser(LIMIT).feed(b"data: a\n\ndata: b\n\ndata: " + b"x" * 100)
    assert [event.data for event in caught.value.events] == [b"a", b"b"]


def test_many_events_that_fit_are_together_larger_than_the_limit() -> None:
    parser = Parser(LIMIT)
    assert len(parser.feed(b"data: 0123456789\n\n" * 100)) == 100


@pytest.mark.parametrize("name", ["chat.sse", "chat-broken-utf8.sse"])
def test_what_a_real_server_sent_parses_alike_in_pieces_of_any_size(name: str) -> None:
    stream = (CAPTURES / name).read_bytes()
    whole, _, _ = parse([stream])
    assert len(whole) == stream.count(b"\n\n") > 100  # llama.cpp sends one line a block
    for size in (1, 7, 64, 1000, 4096):
        pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert parse(pieces)[0] == whole


one_line = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@given(st.binary(), one_line, one_line)
@example(b"", "", "")
@example(b" a\r\n\r\rb\n", " x", "é 1")
def test_what_is_encoded_parses_back(data: bytes, kind: str, event_id: str) -> None:
    encoded = encode_event(data, event=kind, event_id=event_id)
    read_back = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert parse([encoded])[0] == [SseEvent(kind, read_back, event_id)]


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b"])
def test_a_field_that_is_no_line_is_refused(bad: str) -> None:
    for fields in ({"event": bad}, {"event_id": bad}):
        with pytest.raises(ValueError, match="one line"):
            encode_event(b"", **fields)
    with pytest.raises(ValueError, match="one line"):
        encode_comment(bad)


def test_the_encoder_writes_these_bytes() -> None:
    assert encode_event(b"a") == b"data: a\n\n"
    assert encode_event(b"a\r\nb", event="x", event_id="1") == (
        b"id: 1\nevent: x\ndata: a\ndata: b\n\n"
    )
    assert encode_comment("ping") == b": ping\n"
    assert encode_retry(1500) == b"retry: 1500\n\n"
