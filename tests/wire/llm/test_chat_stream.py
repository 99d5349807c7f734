from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.json.strict_json import LARGE, MAX_VALUES
from tailrace.wire.llm.chat import GRAMMAR, delta_text
from tailrace.wire.llm.records import (
    LONGEST_ERROR,
    AnswerParser,
    Record,
    RecordKind,
    error_message,
)
from tests.wire.llm.delta_vectors import VECTORS, DeltaVector

CAPTURES = Path(__file__).with_name("data")
ROOM = 3 << 20
CHUNK, ERROR, DONE = RecordKind.CHUNK, RecordKind.ERROR, RecordKind.DONE
MALFORMED, TOO_LARGE = RecordKind.MALFORMED, RecordKind.TOO_LARGE
TOO_MANY = RecordKind.TOO_MANY


def parse(stream: bytes, complete: bool = True) -> list[Record]:
    parser = AnswerParser(GRAMMAR, ROOM)
    return parser.feed(stream) + parser.finish(complete)


def kinds(stream: bytes, complete: bool = True) -> list[RecordKind]:
    return [record.kind for record in parse(stream, complete)]


# --- records ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", CHUNK),
        (b'{"choices":[{"delta":{"content":"a"}}]}', CHUNK),
        (b' {"a" : 1 }\t', CHUNK),
        (b'{"id":"\xff\xe2\x82"}', CHUNK),
        (b'{"n":' + b"9" * 5000 + b"}", CHUNK),
        (b'{"n":' + b"[" * 9999 + b"]" * 9999 + b"}", CHUNK),
        (b'{"error":null,"choices":[]}', CHUNK),
        (b'{"choices":[{"delta":{"content":"a"}}],"x":{"error":1}}', CHUNK),
        (b'{"error":{"message":"no"}}', ERROR),
        (b'{"error":"no"}', ERROR),
        (b'{"choices":[{"delta":{"content":"a"}}],"error":"late"}', ERROR),
        (b'{"\\u0065rror":{}}', ERROR),
        (b'{"error":1,"error":null}', ERROR),
        (b"[DONE]", DONE),
        (b" [DONE] ", DONE),
        (b"[done]", MALFORMED),
        (b"[DONE", MALFORMED),
        (b"[]", MALFORMED),
        (b"null", MALFORMED),
        (b'"text"', MALFORMED),
        (b"{", MALFORMED),
        (b"{} {}", MALFORMED),
        (b"\x0c{}", MALFORMED),
        (b"<html>", MALFORMED),
        (b'{"n":NaN}', MALFORMED),
        (b'{"n":-Infinity}', MALFORMED),
        (b'{"s":"\x01"}', MALFORMED),
        (b'{"choices":[{"delta":{"content":"a\x01"}}]}', MALFORMED),
        (b'{"choices":[{"delta":{"content":"a"}}],"n":01}', MALFORMED),
        (b'{"n":' + b"[" * 10_000 + b"]" * 10_000 + b"}", MALFORMED),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value.name,
)
def test_each_payload_has_its_kind_and_keeps_its_bytes(data: bytes, kind: RecordKind) -> None:
    (record,) = parse(b"data:" + b" " + data + b"\n\n")
    assert record == Record(kind, data)


def test_a_large_text_of_too_many_values_ends_the_answer() -> None:
    values = b'{"x":[%b1]}' % (b"1," * MAX_VALUES)
    assert parse(b"data: %b\n\ndata: {}\n\n" % values) == [
        Record(CHUNK, values),
        Record(CHUNK, b"{}"),
    ]
    for large in (b"[" * 100_000, values + b" " * LARGE, b'{"error":%b}' % (values + b" " * LARGE)):
        assert parse(b"data: %b\n\ndata: {}\n\n" % large) == [Record(TOO_MANY, b"")]


def test_an_error_that_is_too_large_to_be_read_is_still_one() -> None:
    for inside in (b"[]," * MAX_VALUES * 2, b"a" * LONGEST_ERROR):
        (record,) = parse(b'event: error\ndata: {"error":"%b' % inside + b"\n\n")
        assert record.kind is ERROR
        assert json.loads(record.data)["error"]["message"].startswith('{"error":"')


def test_data_of_several_lines_is_one_record() -> None:
    assert parse(b'data: {"a":\ndata: 1}\n\n') == [Record(CHUNK, b'{"a":\n1}')]


def test_a_block_of_type_error_is_an_error_whatever_its_data() -> None:
    data = b'{"type":"overloaded"}'
    assert parse(b"event: error\ndata: " + data + b"\n\n") == [Record(ERROR, data)]


@pytest.mark.parametrize("data", [b"overloaded", b"", b"42", b'["a"]', b'{"error":', b"\xff"])
def test_an_error_that_is_no_json_object_becomes_one(data: bytes) -> None:
    (record,) = parse(b"event: error\ndata: " + data + b"\n\n")
    assert record.kind is ERROR
    assert json.loads(record.data) == {
        "error": {"message": error_message(data), "type": "server_error"}
    }


def test_comments_and_empty_data_keep_a_connection_alive_and_mean_nothing() -> None:
    assert parse(b": ping\n\ndata:\n\ndata:  \n\nevent: ping\n\ndata: {}\n\n") == [
        Record(CHUNK, b"{}")
    ]


def test_nothing_after_done_is_looked_at() -> None:
    parser = AnswerParser(GRAMMAR, ROOM)
    first = parser.feed(b"data: {}\n\ndata: [DONE]\n\ndata: {}\n\n")
    assert [record.kind for record in first] == [CHUNK, DONE]
    assert parser.feed(b"data: {}\n\n") + parser.finish(True) == []


def test_the_parser_gives_up_at_an_event_that_is_too_large() -> None:
    parser = AnswerParser(GRAMMAR, 10)
    assert parser.feed(b"data: {}\n\ndata: " + b"x" * 100) == [
        Record(CHUNK, b"{}"),
        Record(TOO_LARGE, b""),
    ]
    assert parser.feed(b"\n\ndata: {}\n\n") + parser.finish(True) == []


def test_the_last_line_may_be_what_makes_an_event_too_large() -> None:
    parser = AnswerParser(GRAMMAR, 10)
    assert parser.feed(b"data: 01234567\ndata: 01234567") == []
    assert parser.finish(True) == [Record(TOO_LARGE, b"")]


def test_done_is_done_even_with_something_too_large_behind_it() -> None:
    stream = b"data: [DONE]\n\ndata: " + b"x" * 100
    assert AnswerParser(GRAMMAR, 10).feed(stream) == [Record(DONE, b"[DONE]")]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_an_upstream_may_forget_its_last_line_ends(end: bytes) -> None:
    assert kinds(b"data: {}\n\ndata: [DONE]" + end) == [CHUNK, DONE]
    assert kinds(b'data: {"a":1}' + end) == [CHUNK]


def test_half_a_last_chunk_was_cut_and_is_not_malformed() -> None:
    assert kinds(b'data: {}\n\ndata: {"choices":[') == [CHUNK]


def test_the_last_block_of_a_connection_that_broke_is_dropped() -> None:
    assert kinds(b"data: {}\n\ndata: [DONE]\n", complete=False) == [CHUNK]


def test_a_real_answer_is_chunks_and_done() -> None:
    stream = (CAPTURES / "chat.sse").read_bytes()
    records = parse(stream, complete=False)
    assert [record.kind for record in records] == [CHUNK] * (len(records) - 1) + [DONE]
    rebuilt = b"".join(b"data: %b\n\n" % record.data for record in records)
    assert rebuilt == stream
    text = b"".join(delta_text(record.data) for record in records[:-1]).decode()
    assert text.startswith("One day, a cat named Luna")


def test_a_real_answer_of_broken_characters_is_read_as_it_came_and_its_cut_end_dropped() -> None:
    stream = (CAPTURES / "chat-broken-utf8.sse").read_bytes()
    records = parse(stream, complete=False)
    assert {record.kind for record in records} == {CHUNK}
    rebuilt = b"".join(b"data: %b\n\n" % record.data for record in records)
    assert stream.startswith(rebuilt)
    assert 0 < len(stream) - len(rebuilt) < 300
    text = "".join(delta_text(record.data).decode() for record in records)
    assert text == "".join(
        choice["delta"].get("content") or ""
        for record in records
        for choice in json.loads(record.data)["choices"]
    )


_PIECES = st.sampled_from([b"data: ", b"{}", b"[DONE]", b"\n", b"{", b"event: error", b"["])


@given(st.lists(_PIECES | st.binary(max_size=4)).map(b"".join), st.integers(0, 100), st.booleans())
def test_no_bytes_make_the_parser_raise_and_cuts_do_not_matter(
    stream: bytes, cut: int, complete: bool
) -> None:
    parser = AnswerParser(GRAMMAR, 30)
    records = parser.feed(stream[:cut]) + parser.feed(stream[cut:]) + parser.finish(complete)
    whole = AnswerParser(GRAMMAR, 30)
    assert records == whole.feed(stream) + whole.finish(complete)


# --- error_message ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"error":{"message":"Rate limit reached.","code":429}}', "Rate limit reached."),
        (b'{"error":"no model"}', "no model"),
        (b'{"error":{"error":{"message":"deep"}}}', "deep"),
        (b'{"error":{"message":{"detail":"deep"}}}', "deep"),
        (b'{"error":{"message":"","type":"server_error"}}', "server_error"),
        (b'{"error":{},"message":"beside it"}', "beside it"),
        (b'{"type":"overloaded"}', "overloaded"),
        (b"overloaded\r\n", "overloaded"),
        (b'{"error":{"message":"a\\nb\\u0000\\u001b[31mc\\u202e\\t d"}}', "a b [31mc d"),
        (b'{"error":{"message":"\\ud800x\xff"}}', "x"),
        ('{"error":"Überlastet 日本"}'.encode(), "Überlastet 日本"),
    ],
)
def test_an_error_is_said_in_one_printable_line(data: bytes, message: str) -> None:
    assert error_message(data) == message


@pytest.mark.parametrize("data", [b"", b"{}", b'{"error":{}}', b'{"error":[1]}', b"  "])
def test_an_error_without_words_gets_ours(data: bytes) -> None:
    assert error_message(data) == "The upstream reported an error and did not say which."


def test_a_long_message_is_cut_at_300_characters() -> None:
    assert error_message(b"x" * 300) == "x" * 300
    assert error_message(b"x" * 301) == "x" * 299 + "…"
    assert error_message(b'{"error":"' + b"x" * 1_000_000 + b'"}') == "x" * 299 + "…"


@given(st.binary() | st.integers(0, 3000).map(lambda n: b'{"error":' * n + b"1" + b"}" * n))
def test_any_error_has_a_short_printable_message(data: bytes) -> None:
    message = error_message(data)
    assert 0 < len(message) <= 300
    assert message.isprintable()


# --- delta_text ---------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.title)
def test_a_chunk_reads_as_the_article_s_server_reads_it(vector: DeltaVector) -> None:
    assert delta_text(vector.payload) == vector.text


names = st.sampled_from(["choices", "delta", "content", "Content", "id", "error", "choiceſ"])
values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), st.dictionaries(st.sampled_from(["id", "usage", "x"]), values))
def test_the_text_of_a_plain_chunk_is_its_content_however_it_is_spelled(
    content: str, others: dict[str, object]
) -> None:
    chunk = {**others, "choices": [{"index": 0, "delta": {"content": content}}], "z": None}
    for ascii_only in (True, False):
        for separators in ((",", ":"), (", ", ": "), (" ,\n", " : ")):
            payload = json.dumps(chunk, ensure_ascii=ascii_only, separators=separators).encode()
            assert delta_text(payload) == content.encode()


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_payload_gives_utf_8_and_never_raises(payload: bytes) -> None:
    delta_text(payload).decode()
