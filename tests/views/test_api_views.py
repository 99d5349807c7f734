"""The views that speak a model's API: their bytes, and what SDKs make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import BadRequest
from tailrace.model import DATA, ERROR, Ending, EndingCode, EndingKind, Event
from tailrace.testing.message_events import message_events
from tailrace.testing.response_events import failed_event, response_events
from tailrace.testing.script import stream
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.views import make_view, view_names
from tailrace.wire.llm.apis import APIS, CHAT, COMPLETIONS, MESSAGES, RESPONSES, Api
from tailrace.wire.llm.records import AnswerParser, Record, RecordKind
from tailrace.wire.sse import Parser

GENERATION = "0" * 26
CAPTURES = Path(__file__).parents[1] / "wire" / "llm" / "data"
EVERY = tuple(APIS.values())
TYPED = (RESPONSES, MESSAGES)
NOT_WHOLE = [kind for kind in EndingKind if kind is not EndingKind.COMPLETED]


def shown(api: Api, datas: list[bytes]) -> bytes:
    view = make_view(api.view, api.content_type)
    return view.encode(GENERATION, [Event(i, 5, DATA, data) for i, data in enumerate(datas, 1)])


def end(
    api: Api,
    kind: EndingKind,
    reason: str = "why",
    seq: int = 7,
    code: EndingCode = EndingCode.NONE,
) -> bytes:
    view = make_view(api.view, api.content_type)
    closing = view.end(GENERATION, Ending(kind, reason, seq, 5, code))
    assert closing.whole
    return closing.data


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_a_real_answer_goes_out_as_it_came_in(api: Api) -> None:
    stream = (CAPTURES / f"{api.name}.sse").read_bytes()
    records = AnswerParser(api.grammar, 1 << 20).feed(stream)
    kept = [record.data for record in records if record.kind is not RecordKind.DONE]
    assert shown(api, kept) + end(api, EndingKind.COMPLETED, "") == stream


names = st.sampled_from(["type", "delta", "index", "error", "x"])
values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["a.b", "ping", "error"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(TYPED), st.lists(st.dictionaries(names, values, max_size=4)))
def test_what_a_view_shows_reads_back_the_same(api: Api, events: list[dict[str, object]]) -> None:
    datas = [json.dumps(event).encode() for event in events]
    got = Parser(1 << 20).feed(shown(api, datas))
    assert [event.data for event in got] == datas
    for event, sent in zip(got, events, strict=True):
        assert event.type in ("", sent.get("type"))
    if any(event.type == "error" for event in got):
        return  # such a block is an error, whatever its data
    parser = AnswerParser(api.grammar, 1 << 20)
    once = parser.feed(b"".join(b"data: %b\n\n" % data for data in datas))
    assert AnswerParser(api.grammar, 1 << 20).feed(shown(api, datas)) == once


@pytest.mark.parametrize(
    ("api", "data", "block"),
    [
        (RESPONSES, b'{"type":"a.b"}', b'event: a.b\ndata: {"type":"a.b"}\n\n'),
        (RESPONSES, b'{"a":1,\n"type":"b"}', b'event: b\ndata: {"a":1,\ndata: "type":"b"}\n\n'),
        (RESPONSES, b'{"a":1}', b'data: {"a":1}\n\n'),
        (MESSAGES, b'{"type": "ping"}', b'event: ping\ndata: {"type": "ping"}\n\n'),
        (MESSAGES, b'{"type":"a\\nb"}', b'data: {"type":"a\\nb"}\n\n'),
        (COMPLETIONS, b'{"choices":[]}', b'data: {"choices":[]}\n\n'),
    ],
)
def test_an_event_looks_like_this(api: Api, data: bytes, block: bytes) -> None:
    assert shown(api, [data]) == block


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_a_remark_of_ours_does_not_show(api: Api) -> None:
    view = make_view(api.view, api.content_type)
    assert view.encode(GENERATION, [Event(1, 5, ERROR, b'{"error":{}}')]) == b""


def test_an_ending_looks_like_this() -> None:
    assert end(RESPONSES, EndingKind.CUT) == (
        b'event: error\ndata: {"type":"error","error":{"type":"stream_cut","code":"cut",'
        b'"message":"why","param":null},"code":"cut","message":"why","param":null,'
        b'"sequence_number":6}\n\n'
    )
    assert end(MESSAGES, EndingKind.CUT) == (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"why"}}\n\n'
    )
    assert b'"overloaded_error"' in end(MESSAGES, EndingKind.INTERRUPTED)


@pytest.mark.parametrize("kind", NOT_WHOLE)
@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_every_other_ending_is_an_error_with_words(api: Api, kind: EndingKind) -> None:
    (event,) = Parser(1000).feed(end(api, kind, reason=""))
    assert json.loads(event.data)["error"]["message"]
    assert event.type == ("error" if api in TYPED else "")
    (record,) = AnswerParser(api.grammar, 1000).feed(end(api, kind, reason=""))
    assert record.kind is RecordKind.ERROR


@pytest.mark.parametrize("api", TYPED, ids=lambda api: api.name)
def test_what_the_upstream_has_said_itself_is_not_said_again(api: Api) -> None:
    assert end(api, EndingKind.COMPLETED, "") == b""
    reported = EndingCode.REPORTED
    assert end(api, EndingKind.FAILED, "overloaded", code=reported) == b""
    assert end(api, EndingKind.CANCELLED, "response.cancelled", code=reported) == b""
    assert end(api, EndingKind.FAILED, "The upstream reported: a client's own words") != b""
    assert end(api, EndingKind.FAILED, "The upstream sent malformed chunks: 1.") != b""


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_a_farewell_is_an_error_and_a_cut_body(api: Api) -> None:
    closing = make_view(api.view, api.content_type).farewell(1500)
    assert not closing.whole
    (record,) = AnswerParser(api.grammar, 1000).feed(closing.data)
    assert record.kind is RecordKind.ERROR
    assert b"going away" in record.data


@pytest.mark.parametrize(
    ("api", "heartbeat", "records"),
    [
        (RESPONSES, b": ping\n", []),
        (
            MESSAGES,
            b'event: ping\ndata: {"type": "ping"}\n\n',
            [Record(RecordKind.PING, b'{"type": "ping"}')],
        ),
    ],
)
def test_a_heartbeat_is_what_the_api_itself_knows(
    api: Api, heartbeat: bytes, records: list[Record]
) -> None:
    view = make_view(api.view, api.content_type)
    assert (view.name, view.media_type, view.heartbeat) == (
        api.view,
        b"text/event-stream",
        heartbeat,
    )
    assert AnswerParser(api.grammar, 1000).feed(heartbeat) == records


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_a_stream_has_the_view_of_its_own_api_and_no_other(api: Api) -> None:
    assert view_names(api.content_type) == ("sse", "text", "ndjson", api.view)
    for other in {each.view for each in EVERY} - {api.view}:
        with pytest.raises(BadRequest, match=api.view):
            make_view(other, api.content_type)


def test_a_stream_of_an_unknown_api_is_json_and_no_more() -> None:
    content_type = "application/json; api=other"
    assert view_names(content_type) == ("sse", "text", "ndjson")
    event = Event(1, 5, DATA, b'{"a":1}')
    assert make_view("text", content_type).encode(GENERATION, [event]) == b'{"a":1}'


def test_text_is_that_of_the_api() -> None:
    for api, data in (
        (CHAT, b'{"choices":[{"delta":{"content":"a"}}]}'),
        (COMPLETIONS, b'{"choices":[{"text":"a"}]}'),
        (RESPONSES, b'{"type":"response.output_text.delta","delta":"a"}'),
        (
            MESSAGES,
            b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}',
        ),
    ):
        for reader in EVERY:
            text = make_view("text", reader.content_type)
            got = text.encode(GENERATION, [Event(1, 5, DATA, data)])
            assert got == (b"a" if reader is api else b"")


# --- through the libraries ----------------------------------------------------------------------


def kept(api: Api, events: list[bytes]) -> list[bytes]:
    return [record.data for record in AnswerParser(api.grammar, 1 << 20).feed(b"".join(events))]


def ask_for_response(body: list[bytes]) -> list[Any]:
    """What openai-python yields of a body."""
    with (
        ThreadedUpstream(stream(*body)) as upstream,
        openai.OpenAI(base_url=upstream.base_url, api_key="k", max_retries=0) as client,
    ):
        return list(client.responses.create(model="m", input="Hi", stream=True))


def test_openai_reads_responses_through_heartbeats_and_raises_at_an_ending() -> None:
    answer = response_events(["a", "b"])
    view = make_view("responses", RESPONSES.content_type)
    parts = [part for each in answer for part in (shown(RESPONSES, kept(RESPONSES, [each])), b"")]
    beaten = [part or view.heartbeat for part in parts]
    types = [event.type for event in ask_for_response(beaten)]
    assert types == [json.loads(data)["type"] for data in kept(RESPONSES, answer)]
    with pytest.raises(openai.APIError, match="why"):
        ask_for_response([*answer[:6], end(RESPONSES, EndingKind.CUT)])
    with pytest.raises(openai.APIError, match="going away"):
        ask_for_response([*answer[:6], view.farewell(1).data])


def test_openai_yields_a_failed_response_and_does_not_raise() -> None:
    begun = [*response_events(["a"])[:5], failed_event("bad", 5)]
    ending = end(RESPONSES, EndingKind.FAILED, "bad", code=EndingCode.REPORTED)
    events = ask_for_response([*begun, ending])
    assert events[-1].response.error.message == "bad"


def test_anthropic_reads_messages_through_heartbeats_and_raises_at_an_ending() -> None:
    view = make_view("messages", MESSAGES.content_type)
    answer = message_events(["a", "b"])
    asked: dict[str, Any] = {"model": "m", "max_tokens": 9}
    asked["messages"] = [{"role": "user", "content": "Hi"}]
    bodies = [
        [*answer[:4], view.heartbeat, *answer[4:]],
        [*answer[:4], end(MESSAGES, EndingKind.CUT)],
    ]
    with ThreadedUpstream() as upstream:
        upstream.script(*[stream(*body) for body in bodies])
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=0) as client:
            with client.messages.stream(**asked) as whole:
                assert whole.get_final_text() == "ab"
            with (
                pytest.raises(anthropic.APIError, match="why"),
                client.messages.stream(**asked) as cut,
            ):
                cut.get_final_text()
