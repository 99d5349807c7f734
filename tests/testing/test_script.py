"""What scripts amount to on the wire, without a wire."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tailrace.testing.script import (
    STALL,
    Close,
    Cut,
    Framing,
    Head,
    Pause,
    Raw,
    Reset,
    Script,
    Send,
    Split,
    Wait,
    Write,
    inside_characters,
    pieces,
    plan,
    respond,
    script,
    stream,
)

from .raw_client import content, dechunked


def written(answer: Script, *, keep: bool = True) -> bytes:
    return b"".join(action.data for action in plan(answer, keep=keep) if isinstance(action, Write))


splits: st.SearchStrategy[Split] = st.integers(0, 40) | st.lists(
    st.integers(-5, 60), max_size=6
).map(tuple)


@given(st.binary(max_size=50), splits)
def test_pieces_are_never_empty_and_make_the_whole(data: bytes, split: Split) -> None:
    parts = list(pieces(data, split))
    assert b"".join(parts) == data
    assert all(parts)


def test_pieces_are_cut_where_it_was_asked() -> None:
    assert list(pieces(b"abcdefg", 3)) == [b"abc", b"def", b"g"]
    assert list(pieces(b"abcdefg", (2, 5))) == [b"ab", b"cde", b"fg"]
    assert list(pieces(b"abc", 0)) == [b"abc"]


@given(st.text())
def test_every_place_inside_a_character_leaves_a_broken_one(text: str) -> None:
    data = text.encode("utf-8", "ignore")
    parts = list(pieces(data, inside_characters(data)))
    assert b"".join(parts) == data
    multibyte = sum(len(character.encode()) - 1 for character in data.decode())
    assert len(parts) == (multibyte + 1 if data else 0)


@given(st.binary(max_size=60), splits)
def test_a_chunked_body_holds_what_was_sent(data: bytes, split: Split) -> None:
    answer = written(script(Head(), Send(data, split)))
    assert content(answer) == (data, True)


def test_each_piece_is_a_chunk_and_a_write_of_its_own() -> None:
    head, *rest = plan(script(Head(), Send(b"abc", 2)), keep=True)
    assert isinstance(head, Write)
    assert rest == [Write(b"2\r\nab\r\n"), Write(b"1\r\nc\r\n"), Write(b"0\r\n\r\n")]


@given(st.integers(1, 30))
def test_the_wire_split_divides_framing_too_and_changes_no_byte(size: int) -> None:
    answer = stream(b"data: 1\n\n", b"data: 2\n\n")
    dribbled = list(plan(Script(answer.steps, wire=size), keep=True))
    assert all(isinstance(each, Write) and 0 < len(each.data) <= size for each in dribbled)
    assert written(Script(answer.steps, wire=size)) == written(answer)


def test_content_length_is_the_truth_unless_a_lie_is_asked_for() -> None:
    truth = written(script(Head(framing=Framing.LENGTH), Send(b"abc"), Send(b"de")))
    lie = written(script(Head(framing=Framing.LENGTH, length=9), Send(b"abc")))
    assert b"content-length: 5\r\n" in truth
    assert b"content-length: 9\r\n" in lie


def test_a_body_that_ends_with_the_connection_has_no_framing() -> None:
    *writes, last = plan(script(Head(framing=Framing.EOF, version="1.0"), Send(b"x")), keep=True)
    assert last == Close()
    assert written(script(Head(framing=Framing.EOF, version="1.0"), Send(b"x"))) == (
        b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\nx"
    )
    assert len(writes) == 2


def test_a_connection_is_kept_only_where_both_sides_can() -> None:
    def closes(answer: Script, keep: bool) -> bool:
        return Close() in plan(answer, keep=keep)

    assert not closes(stream(b"x"), keep=True)
    assert not closes(respond(429, b"{}"), keep=True)
    assert closes(stream(b"x"), keep=False)
    assert closes(script(Raw(b"SSH-2.0\r\n")), keep=True)


def test_a_cut_owes_nothing_and_nothing_follows_it() -> None:
    for step, close in ((Cut(), Close()), (Reset(), Close(reset=True))):
        answer = script(Head(), Send(b"x"), step, Send(b"never"))
        *writes, last = plan(answer, keep=True)
        assert last == close
        assert dechunked(written(answer).partition(b"\r\n\r\n")[2]) == (b"x", False)
        assert len(writes) == 2


def test_waits_and_pauses_stand_where_they_were_put() -> None:
    actions = list(plan(stream(b"1", b"2", gate="g", delay=0.5), keep=True))
    kinds = [type(action) for action in actions]
    assert kinds == [Write, *[Wait, Pause, Write] * 2, Write]
    assert STALL in plan(script(Head(), STALL), keep=True)


def test_an_unknown_status_has_no_reason_phrase() -> None:
    assert written(respond(599, b"")).startswith(b"HTTP/1.1 599 \r\n")


def test_raw_bytes_are_left_alone() -> None:
    raw = b"zz\r\n\x00"
    assert list(itertools.islice(plan(script(Raw(raw)), keep=True), 1)) == [Write(raw)]
