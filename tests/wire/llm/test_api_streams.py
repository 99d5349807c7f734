"""The streams of each API, as real servers send them and as they might."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.wire.llm.apis import APIS, CHAT, COMPLETIONS, MESSAGES, RESPONSES, Api, api_of
from tailrace.wire.llm.chunk_text import ORDINARY_LIMIT
from tailrace.wire.llm.records import AnswerParser, Record, RecordKind, error_message, reported
from tailrace.wire.llm.typed import encode_block, event_type

CAPTURES = Path(__file__).with_name("data")
ROOM = 1 << 20
CHUNK, LAST, ERROR = RecordKind.CHUNK, RecordKind.LAST, RecordKind.ERROR
DONE, PING, MALFORMED = RecordKind.DONE, RecordKind.PING, RecordKind.MALFORMED
CANCELLED = RecordKind.CANCELLED
TYPED = (RESPONSES, MESSAGES)
EVERY = tuple(APIS.values())


def parse(api: Api, stream: bytes, complete: bool = True) -> list[Record]:
    parser = AnswerParser(api.grammar, ROOM)
    return parser.feed(stream) + parser.finish(complete)


def recognizing(api: Api, pieces: list[bytes]) -> list[Record]:
    """As the relay reads them."""
    parser = AnswerParser(api.grammar, ROOM)
    records: list[Record] = []
    for piece in pieces:
        only = parser.take_chunk(piece)
        records += parser.feed(piece) if only is None else [Record(CHUNK, only)]
    return records + parser.finish(complete=True)


def block(data: bytes, event: str = "") -> bytes:
    named = b"event: " + event.encode() + b"\n" if event else b""
    return named + b"data: " + data + b"\n\n"


def dump(value: object, spaced: bool = False) -> bytes:
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(value, separators=separators, ensure_ascii=False).encode()


# --- real answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_a_real_answer_reads_the_same_wherever_it_is_cut(api: Api) -> None:
    stream = (CAPTURES / f"{api.name}.sse").read_bytes()[-6000:]
    stream = stream[stream.index(b"\n\n") + 2 :]
    whole = parse(api, stream)
    for cut in range(len(stream) + 1):
        assert recognizing(api, [stream[:cut], stream[cut:]]) == whole
    assert recognizing(api, [stream[at : at + 1] for at in range(len(stream))]) == whole


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_a_real_answer_is_kept_as_it_came_and_ends_as_its_api_ends(api: Api) -> None:
    stream = (CAPTURES / f"{api.name}.sse").read_bytes()
    records = parse(api, stream, complete=False)
    typed = api in TYPED
    assert [record.kind for record in records] == [CHUNK] * (len(records) - 1) + [
        LAST if typed else DONE
    ]
    encode = encode_block if typed else block
    assert b"".join(encode(record.data) for record in records) == stream


@pytest.mark.parametrize(
    ("api", "begin", "end"),
    [
        (CHAT, "One day, a cat named Luna", "Kira was a curious and"),
        (COMPLETIONS, " of life, not just", " one."),
        (RESPONSES, "Hello. I'm here in three", " communicate with you?"),
        (MESSAGES, "Oh, welcome, welcome! My", " thrilled to have you here"),
    ],
    ids=["chat", "completions", "responses", "messages"],
)
def test_a_real_answer_has_this_text(api: Api, begin: str, end: str) -> None:
    read = api.text_reader()
    records = parse(api, (CAPTURES / f"{api.name}.sse").read_bytes())
    text = b"".join(read(record.data) for record in records if record.kind is not DONE).decode()
    assert text.startswith(begin)
    assert text.endswith(end)


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_nearly_all_of_a_real_answer_is_recognized(api: Api) -> None:
    stream = (CAPTURES / f"{api.name}.sse").read_bytes()
    pieces = [piece + b"\n\n" for piece in stream.removesuffix(b"\n\n").split(b"\n\n")]
    parser = AnswerParser(api.grammar, ROOM)
    fed = 0
    for piece in pieces:
        if parser.take_chunk(piece) is None:
            fed += 1
            parser.feed(piece)
    assert fed <= 10


# --- what a block is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "event", "data", "kind"),
    [
        (RESPONSES, "response.created", b'{"type":"response.created","response":{}}', CHUNK),
        (RESPONSES, "", b'{"type":"response.output_text.delta","delta":"a"}', CHUNK),
        (RESPONSES, "", b'{"type":"response.completed","response":{"error":null}}', LAST),
        (RESPONSES, "", b'{"response":{},"type":"response.completed"}', LAST),
        (RESPONSES, "response.incomplete", b'{"type":"response.incomplete"}', LAST),
        (RESPONSES, "", b'{"type":"response.failed","response":{"error":{}}}', ERROR),
        (RESPONSES, "", b'{"type":"response.cancelled"}', CANCELLED),
        (RESPONSES, "keepalive", b'{"type":"keepalive","sequence_number":7}', PING),
        (RESPONSES, "error", b'{"type":"error","code":"x","message":"m"}', ERROR),
        (RESPONSES, "", b'{"type":"response.x.delta","delta":"a","error":{"message":"m"}}', ERROR),
        (RESPONSES, "", b'{"type":"a","type":"response.completed"}', LAST),
        (RESPONSES, "", b'{"type":"response.x.delta","delta":"a","type":"error"}', ERROR),
        (RESPONSES, "", b'{"\\u0074ype":"response.completed"}', LAST),
        (RESPONSES, "", b'{"delta":"\\"type\\":\\"response.completed\\"","type":"x"}', CHUNK),
        (RESPONSES, "response.completed", b'{"type":7}', CHUNK),
        (RESPONSES, "", b'{"type":"message_stop"}', CHUNK),
        (RESPONSES, "", b"[]", MALFORMED),
        (RESPONSES, "", b'{"type":"response.output_text.delta","delta":"a}', MALFORMED),
        (RESPONSES, "", b'{"type":"response.output_text.delta","delta":"\x01"}', MALFORMED),
        (MESSAGES, "message_stop", b'{"type":"message_stop"  }', LAST),
        (MESSAGES, "", b'{"type": "message_stop"}', LAST),
        (MESSAGES, "ping", b'{"type": "ping"}', PING),
        (MESSAGES, "error", b'{"type":"error","error":{"type":"overloaded_error"}}', ERROR),
        (MESSAGES, "", b'{"type":"message_delta","delta":{},"usage":{}}', CHUNK),
        (MESSAGES, "", b"null", MALFORMED),
        (COMPLETIONS, "", b'{"choices":[{"text":"a"}]}', CHUNK),
        (COMPLETIONS, "", b'{"choices":[{"text":"a"}],"error":{"message":"m"}}', ERROR),
        (COMPLETIONS, "", b"[DONE]", DONE),
        (COMPLETIONS, "", b'{"choices":[{"text":"a"}', MALFORMED),
    ],
)
def test_each_payload_has_its_kind_and_keeps_its_bytes(
    api: Api, event: str, data: bytes, kind: RecordKind
) -> None:
    assert parse(api, block(data, event)) == [Record(kind, data)]


@pytest.mark.parametrize("api", TYPED, ids=lambda api: api.name)
def test_only_an_event_says_that_all_is_there(api: Api) -> None:
    assert parse(api, b"data: [DONE]\n\ndata:\n\n: ping\n\nevent: ping\n\n") == []
    last = block(b'{"type":"response.completed"}') + block(b'{"type":"message_stop"}')
    behind = b'data: [DONE]\n\ndata: {"type":"x"}\n\n'
    assert parse(api, last + behind)[-1].kind is LAST
    assert len(parse(api, last + behind)) <= 2


@pytest.mark.parametrize(
    ("event", "data", "kept", "kind"),
    [
        ("message_stop", b"{}", b'{"type":"message_stop"}', LAST),
        ("message_stop", b' { "a":1}', b'{"type":"message_stop", "a":1}', LAST),
        ("ping", b'{"a":1}', b'{"type":"ping","a":1}', PING),
        ("", b'{"error":{"message":"m"}}', b'{"type":"error","error":{"message":"m"}}', ERROR),
        ("error", b'{"message":"m"}', b'{"type":"error","message":"m"}', ERROR),
        (
            "error",
            b"overloaded\n",
            b'{"type":"error","error":{"type":"api_error","message":"overloaded"}}',
            ERROR,
        ),
        ("", b'{"a":1}', b'{"a":1}', CHUNK),
    ],
)
def test_data_that_say_no_type_are_given_that_of_their_block(
    event: str, data: bytes, kept: bytes, kind: RecordKind
) -> None:
    assert parse(MESSAGES, block(data.replace(b"\n", b""), event)) == [Record(kind, kept)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}', "Busy"),
        (b'{"type":"error","code":"server_error","message":"Sorry","param":null}', "Sorry"),
        (b'{"type":"response.failed","response":{"id":"r","error":{"message":"Bad"}}}', "Bad"),
        (b'{"type":"response.failed","response":{"error":{"code":"c","message":""}}}', "c"),
    ],
)
def test_an_error_is_said_in_one_line_in_each_api(data: bytes, message: str) -> None:
    assert error_message(data) == message
    assert reported(data) == f"The upstream reported: {message}"


# --- recognition --------------------------------------------------------------------------------


def response_delta(text: str, number: int, kind: str, spaced: bool, last: bool) -> bytes:
    head = {"type": kind}
    rest = {
        "sequence_number": number,
        "item_id": "msg_1",
        "delta": text,
        "logprobs": [],
        "obfuscation": "x" * (number % 5),
    }
    return dump({**rest, **head} if last else {**head, **rest}, spaced)


def message_delta(text: str, number: int, kind: str, spaced: bool, last: bool) -> bytes:
    name = {"text_delta": "text", "thinking_delta": "thinking"}.get(kind, "partial_json")
    delta = {"type": kind, name: text}
    data = dump({"type": "content_block_delta", "index": number, "delta": delta}, spaced)
    return data[:-1] + b" " * (number if last else 0) + b"}"


TEXTS = st.sampled_from(["a", " word", "", 'a "quote"', "line\nend", "\\", "é"]) | st.text(
    max_size=8
)
RESPONSE_KINDS = st.sampled_from(
    ["response.output_text.delta", "response.function_call_arguments.delta", "response.completed"]
)
MESSAGE_KINDS = st.sampled_from(["text_delta", "thinking_delta", "input_json_delta", "error"])
NUMBERS = st.integers(0, 12)
RESPONSE_DATA = st.builds(
    response_delta, TEXTS, NUMBERS, RESPONSE_KINDS, st.booleans(), st.booleans()
)
MESSAGE_DATA = st.builds(message_delta, TEXTS, NUMBERS, MESSAGE_KINDS, st.booleans(), st.booleans())
COMPLETION_DATA = TEXTS.map(
    lambda text: dump({"choices": [{"text": text, "index": 0, "logprobs": None}], "id": "c"})
)
ODD = st.sampled_from(
    [
        block(b"[DONE]"),
        block(b'{"type":"error","error":{}}', "error"),
        block(b'{"type":"response.output_text.delta","delta":"a"}', "error"),
        block(b'{"type":"content_block_delta","index":0,"delta":{}}'),
        block(b'{"type":"message_stop"}', "message_stop"),
        block(b'{"type":"ping"}', "ping"),
        block(b"no JSON"),
        b": ping\n\n",
        b": half a comment\n",
        b"event: error\n",
        b"event: ping\n",
        b"data: the first line\n",
        b"id: 7\n",
        b"\r",
        b"\n",
        b"\xef\xbb\xbf",
    ]
)
EVENTS = st.sampled_from(["", "content_block_delta", "response.output_text.delta"])
STREAMS = st.sampled_from(
    [(RESPONSES, RESPONSE_DATA), (MESSAGES, MESSAGE_DATA), (COMPLETIONS, COMPLETION_DATA)]
).flatmap(
    lambda pair: st.tuples(
        st.just(pair[0]), st.lists(st.builds(block, pair[1], EVENTS) | ODD, max_size=10)
    )
)


@given(STREAMS)
@example((RESPONSES, [block(b'{"type":"response.a.delta","delta":"a"}'), b"event: error\n"]))
def test_whole_pieces_read_the_same(stream: tuple[Api, list[bytes]]) -> None:
    api, pieces = stream
    parser = AnswerParser(api.grammar, ROOM)
    fed = [record for piece in pieces for record in parser.feed(piece)] + parser.finish(True)
    assert recognizing(api, pieces) == fed


@given(STREAMS, st.data())
def test_pieces_cut_anywhere_read_the_same(
    stream: tuple[Api, list[bytes]], data: st.DataObject
) -> None:
    api, blocks = stream
    whole = b"".join(blocks)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=6).map(sorted))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert recognizing(api, pieces) == parse(api, whole)


@given(st.sampled_from(EVERY), st.lists(st.binary(max_size=30) | ODD, max_size=6))
def test_no_bytes_make_a_parser_raise(api: Api, pieces: list[bytes]) -> None:
    recognizing(api, pieces)


@pytest.mark.parametrize("text", ["\\u00e9", "\\x", "\\", "\x01", "\t"])
def test_what_need_not_be_json_is_not_recognized(text: str) -> None:
    for api, data in (
        (RESPONSES, response_delta("here", 0, "response.output_text.delta", False, False)),
        (MESSAGES, message_delta("here", 0, "text_delta", False, False)),
    ):
        parser = AnswerParser(api.grammar, ROOM)
        parser.feed(block(data))
        assert parser.take_chunk(block(data)) == data
        assert parser.take_chunk(block(data.replace(b"here", text.encode()))) is None


def test_a_chunk_beyond_the_limits_is_not_recognized() -> None:
    data = response_delta("a" * ORDINARY_LIMIT, 0, "response.output_text.delta", False, False)
    parser = AnswerParser(RESPONSES.grammar, ROOM)
    parser.feed(b": ping\n\n")
    assert parser.take_chunk(block(data)) is None
    small = AnswerParser(RESPONSES.grammar, 10)
    small.feed(b": ping\n\n")
    assert small.take_chunk(block(b'{"type":"response.a.delta","delta":"a"}')) is None


# --- texts --------------------------------------------------------------------------------------


@given(st.lists(RESPONSE_DATA | MESSAGE_DATA | COMPLETION_DATA | st.binary(max_size=20)))
def test_the_text_of_an_answer_is_that_of_its_events(events: list[bytes]) -> None:
    for api in (COMPLETIONS, RESPONSES, MESSAGES):
        together = api.text_reader()
        assert [together(each) for each in events] == [api.text_reader()(each) for each in events]
        assert all(together(each) == _text(api, each) for each in events)


def _text(api: Api, data: bytes) -> bytes:
    try:
        value: Any = json.loads(data.decode())
    except ValueError:
        return b""
    if not isinstance(value, dict):
        return b""
    kind = value.get("type")
    if api is COMPLETIONS:
        return "".join(each["text"] for each in value.get("choices", ())).encode()
    if api is RESPONSES:
        return value["delta"].encode() if kind == "response.output_text.delta" else b""
    delta: Any = value.get("delta")
    if kind != "content_block_delta" or delta["type"] != "text_delta":
        return b""
    return str(delta["text"]).encode()


@pytest.mark.parametrize(
    ("api", "data", "text"),
    [
        (COMPLETIONS, b'{"choices":[{"text":"a\\ud83d"},{"text":"b"}]}', "a\ufffdb"),
        (COMPLETIONS, b'{"choices":[{"text":1},{},null]}', ""),
        (COMPLETIONS, b'{"choices":{"text":"a"}}', ""),
        (RESPONSES, b'{"type":"response.refusal.delta","delta":"no"}', ""),
        (RESPONSES, b'{"delta":"\xff","type":"response.output_text.delta"}', "\ufffd"),
        (RESPONSES, b'{"delta":1,"type":"response.output_text.delta"}', ""),
        (
            MESSAGES,
            b'{"type":"content_block_delta","delta":{"text":"a\\n","type":"text_delta"}}',
            "a\n",
        ),
        (MESSAGES, b'{"type":"content_block_delta","delta":{"type":"thinking_delta"}}', ""),
    ],
)
def test_an_event_has_this_text(api: Api, data: bytes, text: str) -> None:
    assert api.text_reader()(data) == text.encode()


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "api"),
    [
        ("application/json", CHAT),
        ("Application/JSON; charset=utf-8", CHAT),
        ("application/json;api=completions", COMPLETIONS),
        ('application/json; charset=utf-8; API="responses"', RESPONSES),
        ("application/json; api=messages", MESSAGES),
        ("application/json; api=other", None),
        ("text/plain; api=messages", None),
    ],
)
def test_a_content_type_says_the_api(content_type: str, api: Api | None) -> None:
    assert api_of(content_type) is api


def test_the_content_type_of_each_api_is_its_own() -> None:
    assert [api_of(api.content_type) for api in EVERY] == list(EVERY)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'{"type":"a.b_c","x":1}', b"a.b_c"),
        (b'{"type": "ping"}', b"ping"),
        (b'{"x":{"type":"inner"},"type":"outer"}', b"outer"),
        (b'{"x":{"type":"inner"}}', b""),
        (b'{"x":"\\",\\"type\\":\\"y\\"","type":"z"}', b"z"),
        (b'{"x":1,"type":"last"} ', b"last"),
        (b'{"type":"odd name"}', b""),
        (b'{"type":"a\\nb"}', b""),
        (b'{"type":"\xc3\xa9"}', b""),
        (b'{"type":""}', b""),
        (b'{"type":7}', b""),
        (b"[]", b""),
        (b"{", b""),
    ],
)
def test_data_say_their_type(data: bytes, name: bytes) -> None:
    assert event_type(data) == name
