"""What is recognized by its looks is read as it would be without."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.wire.llm.chat import GRAMMAR, delta_text, text_reader
from tailrace.wire.llm.records import AnswerParser, Record, RecordKind

MAX_EVENT = 4096


def chunk(text: str, *, ident: str = "c-1", finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    value = {"id": ident, "object": "chat.completion.chunk", "choices": [choice]}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def block(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


TEXTS = st.one_of(
    st.sampled_from(
        ["a", " word", "", 'a "quote"', "line\nend", "back\\slash", "é", "\u2028", "\x7f"]
    ),
    st.text(max_size=8),
)
BLOCKS = st.one_of(
    TEXTS.map(lambda text: block(chunk(text))),
    TEXTS.map(lambda text: block(chunk(text, ident="another", finish="stop"))),
    st.sampled_from(
        [
            block(b"[DONE]"),
            block(b'{"error":{"message":"no"}}'),
            block(b'{"choices":[]}'),
            block(b"no JSON"),
            block(b"x" * (MAX_EVENT + 1)),
            block(chunk("a").replace(b'"a"', b"null")),
            b": ping\n\n",
            b": half a comment\n",
            b"event: error\n",
            b"id: 7\n",
            b"id: 8\n\n",
            b"retry: 5\n\n",
            b"data: the first line\n",
            b"\r",
            b"\r\n",
            b"\n",
            b"\xef\xbb\xbf",
            b"data: " + chunk("cr") + b"\r\r",
            b"data:" + chunk("tight") + b"\n\n",
            block(chunk("bad").replace(b"bad", b"\xff\xfe")),
        ]
    ),
)


def recognizing(pieces: list[bytes]) -> list[Record]:
    """As the relay reads them."""
    parser = AnswerParser(GRAMMAR, MAX_EVENT)
    records: list[Record] = []
    for piece in pieces:
        only = parser.take_chunk(piece)
        records += parser.feed(piece) if only is None else [Record(RecordKind.CHUNK, only)]
    return records + parser.finish(complete=True)


def feeding(pieces: list[bytes]) -> list[Record]:
    parser = AnswerParser(GRAMMAR, MAX_EVENT)
    records = [record for piece in pieces for record in parser.feed(piece)]
    return records + parser.finish(complete=True)


@given(st.lists(BLOCKS, max_size=12))
@example([block(chunk("a")), b"event: error\n", block(chunk("b"))])
@example([block(chunk("a")), b"data: half\n", block(chunk("b")), block(chunk("c"))])
@example([block(chunk("a")), block(b"[DONE]"), block(chunk("b"))])
@example([block(chunk("a").replace(b'"a"', b"null")), block(b'{"error":1}')])
@example([block(chunk("a")), b"\r", block(chunk("b"))])
@example([block(chunk("a")), block(b"x" * (MAX_EVENT + 1)), block(chunk("b"))])
def test_whole_pieces_read_the_same(pieces: list[bytes]) -> None:
    assert recognizing(pieces) == feeding(pieces)


@given(st.lists(BLOCKS, max_size=6), st.data())
def test_pieces_cut_anywhere_read_the_same(blocks: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(blocks)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert recognizing(pieces) == feeding(pieces)


def test_a_usual_answer_is_recognized_from_its_second_piece_on() -> None:
    parser = AnswerParser(GRAMMAR, MAX_EVENT)
    pieces = [block(chunk(text)) for text in ("a", "b", 'a "quote"', "line\nend", "é")]
    taken = []
    for piece in pieces:
        taken.append(parser.take_chunk(piece))
        if taken[-1] is None:
            parser.feed(piece)
    assert taken[0] is None
    assert [data is not None for data in taken[1:]] == [True] * 4


@pytest.mark.parametrize("text", ["\\u00e9", "\\u", "\\x", "\\", "\x01", "\t"])
def test_what_need_not_be_json_is_not_recognized(text: str) -> None:
    parser = AnswerParser(GRAMMAR, MAX_EVENT)
    parser.feed(block(chunk("a")))
    odd = block(chunk("a").replace(b'"a"', b'"' + text.encode() + b'"'))
    assert parser.take_chunk(odd) is None


@given(st.lists(st.one_of(TEXTS.map(chunk), st.binary(max_size=20)), max_size=12))
@example([chunk("a"), chunk("a").replace(b'"a"', b'"\xff"'), chunk("b")])
@example([chunk("a"), chunk('"'), chunk("b").replace(b'"b"', b"null"), chunk("c")])
def test_the_text_of_an_answer_is_that_of_its_chunks(chunks: list[bytes]) -> None:
    text = text_reader()
    assert [text(each) for each in chunks] == [delta_text(each) for each in chunks]


def test_a_chunk_beyond_the_limit_is_not_recognized() -> None:
    parser = AnswerParser(GRAMMAR, MAX_EVENT)
    parser.feed(block(chunk("a")))
    assert parser.take_chunk(block(chunk("a" * MAX_EVENT))) is None
