"""OpenAI's own Python SDK in front of Tailrace, with nothing changed but its base URL."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest
from openai import AsyncOpenAI, OpenAI, Stream
from openai.types.chat import ChatCompletionChunk, ChatCompletionToolParam

from tailrace.testing.chunks import DONE, chat_chunks, chunk, completion, error_body, event
from tailrace.testing.chunks import role_chunk as role
from tailrace.testing.faults import FAULTS, fault_scripts
from tailrace.testing.script import EVENT_STREAM, Head, Send, Wait, respond, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.testing.upstream import answer
from tests.e2e.harness import Server, Viewer, fetch, serving, wait_for

CLIENT_KEY = "sk-of-the-client"
OUR_KEY = "sk-of-the-operator"
MODEL = "test-model"
CHAT = "/v1/chat/completions"
_BODY = b'{"model":"test-model","messages":[{"role":"user","content":"Hi"}],"stream":true}'
_JSON = ("Content-Type", "application/json")

_CUT = ("cut", "cut-in-event", "cut-after-finish", "reset", "no-done", "no-done-after-finish",
        "empty-body", "short-length", "eof-without-done", "bad-chunk-size")  # fmt: skip
_STALLED = ("stall", "stall-first-byte", "stall-in-event", "comments-only")
_WITH_ERROR = ("error-event", "error-event-first", "error-event-done")
_WHOLE = [name for name, fault in FAULTS.items()
          if fault.done and name not in ("malformed-event", *_WITH_ERROR)]  # fmt: skip
_GATES = ("late-head", "late-first-byte", "pause", "reset")


@pytest.fixture
def upstream() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream(scripts=fault_scripts()) as running:
        yield running


@pytest.fixture
def server(upstream: ThreadedUpstream, tmp_path: Path) -> Iterator[Server]:
    with serving(upstream.base_url, tmp_path) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with sdk(server) as made:
        yield made


@contextmanager
def faulty_sdk(data: Path, **env: str) -> Iterator[OpenAI]:
    """An SDK whose upstream answers ``script:NAME`` with that fault. Only ``stall`` is shut."""
    with ThreadedUpstream(scripts=fault_scripts()) as upstream:
        for gate in _GATES:
            upstream.open(gate)
        with serving(upstream.base_url, data, env=env) as server, sdk(server) as made:
            yield made


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    with faulty_sdk(tmp_path_factory.mktemp("faulty")) as made:
        yield made


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """The same with a server that does not wait long for its upstream."""
    clocks = {"TAILRACE_SILENCE_TIMEOUT": "0.5", "TAILRACE_FIRST_BYTE_TIMEOUT": "0.5"}
    with faulty_sdk(tmp_path_factory.mktemp("impatient"), **clocks) as made:
        yield made


def sdk(server: Server, key: str = CLIENT_KEY, **more: Any) -> OpenAI:
    """A client that does not try again unless told to."""
    return OpenAI(base_url=f"{server.url}/v1", api_key=key, **{"max_retries": 0, **more})


def ask(client: OpenAI, model: str = MODEL, **more: Any) -> Stream[ChatCompletionChunk]:
    """A streamed answer."""
    asked: Stream[ChatCompletionChunk] = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hi"}], stream=True, **more
    )
    return asked


def content(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    """What a choice says."""
    choices = [choice for each in chunks for choice in each.choices]
    return "".join(each.delta.content or "" for each in choices if each.index == index)


def until_broken(answer: Stream[ChatCompletionChunk]) -> tuple[str, openai.APIError]:
    """The text that came, and the error after it."""
    chunks = []
    with pytest.raises(openai.APIError) as caught:
        for each in answer:
            chunks.append(each)
    return content(chunks), caught.value


def link_of(answer: Stream[ChatCompletionChunk]) -> str:
    """The path under which the answer is kept."""
    link: str = answer.response.headers["content-location"]
    return link


# --- answers ------------------------------------------------------------------------------------


def test_tokens_reach_the_sdk_while_the_upstream_is_still_answering(
    upstream: ThreadedUpstream, client: OpenAI
) -> None:
    events = [role(), chunk("Hel"), chunk("lo"), chunk(finish_reason="stop"), DONE]
    upstream.script(stream(*events, gate="token"))
    upstream.admit("token", 2)
    answer = ask(client)
    assert content([next(answer), next(answer)]) == "Hel"
    upstream.reached("token", 3)
    upstream.admit("token", 3)
    rest = list(answer)
    assert content(rest) == "lo"
    assert rest[-1].choices[0].finish_reason == "stop"


def test_calls_of_tools_are_streamed(upstream: ThreadedUpstream, client: OpenAI) -> None:
    tool: ChatCompletionToolParam = {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    }
    call = {"index": 0, "id": "call_1", "type": "function"}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None},
        {"tool_calls": [{**call, "function": {"name": "weather", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Köln"}'}}]},
    ]
    chunks = [chunk(delta=each) for each in deltas]
    upstream.script(stream(*chunks, chunk(delta={}, finish_reason="tool_calls"), DONE))
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "Weather?"}], tools=[tool]
    ) as streamed:
        kinds = {each.type for each in streamed}
        called = streamed.get_final_completion().choices[0].message.tool_calls
    assert "tool_calls.function.arguments.delta" in kinds
    assert called is not None
    assert called[0].function.name == "weather"
    assert json.loads(called[0].function.arguments) == {"city": "Köln"}
    assert upstream.request().json()["tools"] == [tool]


def test_two_choices_are_told_apart(upstream: ThreadedUpstream, client: OpenAI) -> None:
    mixed = [chunk("a", index=0), chunk("x", index=1), chunk("y", index=1), chunk("b", index=0)]
    ends = [chunk(index=0, finish_reason="stop"), chunk(index=1, finish_reason="length")]
    upstream.script(stream(role(), role(index=1), *mixed, *ends, DONE))
    chunks = list(ask(client, n=2))
    assert (content(chunks, 0), content(chunks, 1)) == ("ab", "xy")
    assert [each.choices[0].finish_reason for each in chunks[-2:]] == ["stop", "length"]
    assert upstream.request().json()["n"] == 2


def test_usage_comes_where_it_is_asked_for(upstream: ThreadedUpstream, client: OpenAI) -> None:
    upstream.script(answer("one ", "two"), answer("one ", "two"))
    with_usage = list(ask(client, stream_options={"include_usage": True}))
    assert with_usage[-1].choices == []
    assert with_usage[-1].usage is not None
    assert with_usage[-1].usage.completion_tokens == 2
    assert all(each.usage is None for each in with_usage[:-1])
    assert all(each.usage is None for each in ask(client))


def test_an_answer_that_is_not_streamed_is_handed_through(
    upstream: ThreadedUpstream, client: OpenAI
) -> None:
    upstream.script(respond(200, completion(["Grüße"], choices=2), ("x-request-id", "req_7")))
    got = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], n=2
    )
    assert got.content == completion(["Grüße"], choices=2)
    assert got.headers["x-request-id"] == "req_7"
    assert [each.message.content for each in got.parse().choices] == ["Grüße", "Grüße"]


def test_models_are_those_of_the_upstream(client: OpenAI) -> None:
    assert [each.id for each in client.models.list()] == [MODEL]


def test_many_answers_at_once_are_each_whole(upstream: ThreadedUpstream, server: Server) -> None:
    def echo(exchange: Any) -> Any:
        said = exchange.json()["messages"][0]["content"]
        return stream(*chat_chunks([f"{said}/{piece} " for piece in range(20)]))

    async def one(client: AsyncOpenAI, said: str) -> str:
        answer = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": said}], stream=True
        )
        return content([each async for each in answer])

    async def all_of_them() -> list[str]:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0) as client:
            return await asyncio.gather(*(one(client, f"p{each}") for each in range(40)))

    upstream.script(*[echo] * 40)
    expected = ["".join(f"p{each}/{piece} " for piece in range(20)) for each in range(40)]
    assert asyncio.run(all_of_them()) == expected


# --- nothing is changed -------------------------------------------------------------------------


def test_what_the_sdk_sends_arrives_byte_for_byte(
    upstream: ThreadedUpstream, client: OpenAI
) -> None:
    answer = ask(
        client,
        extra_body={"unheard_of": {"b": 1, "a": [None, 1.50, "ü"]}, "seed": 2**63},
        extra_headers={"X-Unheard-Of": "yes"},
        logit_bias={"50256": -100},
        stream_options={"include_usage": False},
    )
    list(answer)
    seen = upstream.request()
    assert seen.body == answer.response.request.content
    assert b"unheard_of" in seen.body
    assert seen.header("x-unheard-of") == "yes"
    assert seen.header("user-agent") == answer.response.request.headers["user-agent"]


def test_odd_json_arrives_byte_for_byte(upstream: ThreadedUpstream, server: Server) -> None:
    odd = b' { "messages" : [], "a":1, "a":2.50, "s":"\\u00fc\\ud83d\xc3\xbc", "stream":true,'
    odd += b' "stream_options":{} }\r\n'
    with Viewer(server, "POST", CHAT, [_JSON], odd) as viewer:
        assert viewer.head().rest().data.endswith(DONE)
    assert upstream.request().body == odd


def test_chunks_come_byte_for_byte(upstream: ThreadedUpstream, server: Server) -> None:
    odd = [
        b'data: {"unheard_of" : {"b":1.50,"a":1e2} , "choices":[ ]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d\\u00fc\xc3\xbc"}}]}\n\n',
        b'data: {"x":1,"x":2,"s":"\xe2\x80\xa8\xc2\x85","choices":[]}\n\n',
    ]
    told = _BODY[:-1] + b',"stream_options":{"include_usage":true}}'
    for body in (b"".join([*odd, DONE]), b"".join(chat_chunks(["a"], include_usage=True))):
        upstream.script(script(Head(), Send(body, 7)))
        with Viewer(server, "POST", CHAT, [_JSON], told) as viewer:
            assert viewer.head().rest() == (body, True)


def test_usage_is_asked_for_and_not_shown_to_who_did_not_ask(
    upstream: ThreadedUpstream, server: Server
) -> None:
    upstream.script(stream(*chat_chunks(["a", "b"], include_usage=True)))
    with Viewer(server, "POST", CHAT, [_JSON], _BODY) as viewer:
        seen = viewer.head().rest()
        link = viewer.fields["content-location"]
    assert seen == (b"".join(chat_chunks(["a", "b"])), True)
    assert upstream.request().json()["stream_options"] == {"include_usage": True}
    note = json.loads(fetch(server, "/streams?prefix=chat/").data)["streams"][0]["note"]
    assert note["tokens"] == {"input": 7, "output": 2, "estimated": False}
    assert b"event: usage" in fetch(server, f"{link}?view=sse").data


def test_the_sdk_shows_fields_it_does_not_know(upstream: ThreadedUpstream, client: OpenAI) -> None:
    thinking = chunk(delta={"reasoning_content": "hm"}, extra={"x_timings": {"ms": 3}})
    upstream.script(stream(role(), thinking, chunk("Hi"), DONE))
    second = list(ask(client))[1]
    assert second.model_extra == {"x_timings": {"ms": 3}}
    assert second.choices[0].delta.model_extra == {"reasoning_content": "hm"}


# --- endings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", _WHOLE)
def test_an_odd_but_whole_answer_is_whole(faulty: OpenAI, fault: str) -> None:
    assert content(list(ask(faulty, f"script:{fault}"))) == FAULTS[fault].text


@pytest.mark.parametrize("fault", _CUT)
def test_a_cut_answer_is_an_error(faulty: OpenAI, fault: str) -> None:
    text, error = until_broken(ask(faulty, f"script:{fault}"))
    assert (text, error.code, error.type) == (FAULTS[fault].text, "cut", "stream_cut")


@pytest.mark.parametrize("fault", _STALLED)
def test_a_stalled_answer_is_an_error(impatient: OpenAI, fault: str) -> None:
    text, error = until_broken(ask(impatient, f"script:{fault}"))
    assert (text, error.code, error.type) == (FAULTS[fault].text, "stalled", "stream_stalled")


@pytest.mark.parametrize("fault", _WITH_ERROR)
def test_an_error_in_mid_stream_is_the_upstreams_own(faulty: OpenAI, fault: str) -> None:
    text, error = until_broken(ask(faulty, f"script:{fault}"))
    assert (text, error.message) == (FAULTS[fault].text, "overloaded")
    assert isinstance(error.body, dict)
    assert error.body["message"] == "overloaded"


def test_a_chunk_that_is_no_json_is_left_out_and_makes_the_answer_fail(faulty: OpenAI) -> None:
    text, error = until_broken(ask(faulty, "script:malformed-event"))
    assert (text, error.code) == (FAULTS["malformed-event"].text, "failed")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("closes", 502, "upstream_unreachable"),
        ("resets", 502, "upstream_unreachable"),
        ("half-a-head", 502, "upstream_broken"),
        ("not-http", 502, "upstream_broken"),
        ("garbage", 502, "upstream_broken"),
        ("endless-head", 502, "upstream_broken"),
        ("gzip", 502, "upstream_broken"),
        ("html", 502, "upstream_broken"),
    ],
)
def test_an_upstream_that_does_not_answer_is_an_error_of_status(
    faulty: OpenAI, fault: str, status: int, code: str
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(faulty, f"script:{fault}")
    assert (caught.value.status_code, caught.value.code) == (status, code)


def test_an_upstream_that_never_begins_is_a_timeout(impatient: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(impatient, "script:stall-head")
    assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")


def test_json_instead_of_a_stream_is_handed_through(
    upstream: ThreadedUpstream, server: Server
) -> None:
    upstream.script(respond(200, completion(["Hi"])))
    with Viewer(server, "POST", CHAT, [_JSON], _BODY) as viewer:
        assert viewer.head().rest() == (completion(["Hi"]), True)
    assert (viewer.status, viewer.fields["content-type"]) == (200, "application/json")
    assert "content-location" not in viewer.fields


@pytest.mark.parametrize("fault", ["400", "401", "429", "500", "503", "502-html"])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_refusal_comes_as_it_is(faulty: OpenAI, fault: str, streamed: bool) -> None:
    head, body = FAULTS[fault].script.steps
    assert isinstance(head, Head)
    assert isinstance(body, Send)
    with pytest.raises(openai.APIStatusError) as caught:
        faulty.chat.completions.create(model=f"script:{fault}", messages=[], stream=streamed)
    got = caught.value.response
    assert (got.status_code, got.content) == (head.status, body.data)
    for name, value in head.headers:
        assert got.headers[name] == value


def test_a_rate_limit_is_the_sdks_own_error(faulty: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        ask(faulty, "script:429")
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"


def test_the_sdk_tries_again_when_the_upstream_says(
    upstream: ThreadedUpstream, server: Server
) -> None:
    soon = ("retry-after-ms", "1")
    refusals = [respond(429, error_body("slow down"), soon), respond(500, error_body("boom"), soon)]
    for refusal in refusals:
        upstream.script(refusal, answer("Hello"))
        with sdk(server, max_retries=1) as client:
            assert content(list(ask(client))) == "Hello"
    assert [each.asked["stream"] for each in upstream.requests] == [True] * 4
    upstream.script(refusals[0], answer("never"))
    with sdk(server, max_retries=0) as client, pytest.raises(openai.RateLimitError):
        ask(client)
    assert len(upstream.requests) == 5


@pytest.mark.parametrize("fault", ["late-first-byte", "pause"])
def test_heartbeats_do_not_disturb_the_sdk(
    upstream: ThreadedUpstream,
    tmp_path: Path,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = bytearray()

    def watched(chunks: Iterator[bytes]) -> Iterator[bytes]:
        for each in chunks:
            seen.extend(each)
            if seen.count(b": ping\n") >= 3:
                upstream.open(fault)
            yield each

    env = {"TAILRACE_HEARTBEAT": "0.05"}
    with serving(upstream.base_url, tmp_path, env=env) as server, sdk(server) as client:
        answer = ask(client, f"script:{fault}")
        decoded = answer.response.iter_bytes()
        monkeypatch.setattr(answer.response, "iter_bytes", lambda: watched(decoded))
        assert content(list(answer)) == FAULTS[fault].text
    assert seen.count(b": ping\n") >= 3


# --- coming and going ---------------------------------------------------------------------------


def test_an_sdk_that_gives_up_does_not_pay_twice(
    upstream: ThreadedUpstream, server: Server
) -> None:
    upstream.script(script(Wait("never")), answer("Hello"))
    with sdk(server, max_retries=1, timeout=2.0) as client:
        assert content(list(ask(client))) == "Hello"
    assert upstream.disconnected(upstream.request(1))
    assert not upstream.request(2).left


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_leaves_before_the_first_byte_cancels_at_once(
    upstream: ThreadedUpstream, server: Server, streamed: bool
) -> None:
    upstream.script(script(Wait("never")))
    body = _BODY if streamed else _BODY.replace(b"true", b"false")
    with Viewer(server, "POST", CHAT, [_JSON], body):
        upstream.reached("never")
    assert upstream.disconnected(upstream.request())


def test_a_client_that_leaves_later_does_not_end_the_answer(
    upstream: ThreadedUpstream, server: Server, client: OpenAI
) -> None:
    upstream.script(stream(*chat_chunks(["Hel", "lo", "!"]), gate="token"))
    upstream.admit("token", 2)
    answer = ask(client)
    assert content([next(answer), next(answer)]) == "Hel"
    answer.close()
    wait_for(lambda: "POST /v1/chat/completions 200" in server.output)
    upstream.open("token")
    assert upstream.finished(upstream.request())
    assert fetch(server, f"{link_of(answer)}?view=text") == (b"Hello!", True)


def test_the_whole_answer_can_be_read_again_with_the_sdk(
    upstream: ThreadedUpstream, server: Server, client: OpenAI
) -> None:
    upstream.script(stream(*chat_chunks(["Hel", "lo", "!"]), gate="token"))
    upstream.admit("token", 2)
    answer = ask(client)
    assert content([next(answer), next(answer)]) == "Hel"
    answer.close()
    again = client.get(
        f"{server.url}{link_of(answer)}?view=openai",
        cast_to=ChatCompletionChunk,
        stream=True,
        stream_cls=Stream[ChatCompletionChunk],
    )
    assert content([next(again), next(again)]) == "Hel"
    upstream.open("token")
    assert content(list(again)) == "lo!"
    assert len(upstream.requests) == 1


# --- keys ---------------------------------------------------------------------------------------


def authorizations(upstream: ThreadedUpstream) -> list[list[str]]:
    """The Authorization fields of every request that the upstream saw."""
    return [
        [value for name, value in each.headers if name == "authorization"]
        for each in upstream.requests
    ]


def ask_everything(client: OpenAI) -> None:
    """Each way in which the API asks the upstream."""
    list(ask(client))
    client.chat.completions.create(model=MODEL, messages=[])
    client.models.list()


def test_our_key_replaces_the_clients(upstream: ThreadedUpstream, tmp_path: Path) -> None:
    env = {"TAILRACE_UPSTREAM_API_KEY": OUR_KEY}
    with serving(upstream.base_url, tmp_path, env=env) as server, sdk(server) as client:
        ask_everything(client)
    assert authorizations(upstream) == [[f"Bearer {OUR_KEY}"]] * 3


def test_without_a_key_of_ours_the_clients_is_forwarded(
    upstream: ThreadedUpstream, client: OpenAI
) -> None:
    ask_everything(client)
    assert authorizations(upstream) == [[f"Bearer {CLIENT_KEY}"]] * 3


def test_openais_key_does_not_go_to_another_upstream(
    upstream: ThreadedUpstream, tmp_path: Path
) -> None:
    env = {"OPENAI_API_KEY": OUR_KEY}
    with serving(upstream.base_url, tmp_path, env=env) as server, sdk(server) as client:
        ask_everything(client)
        assert fetch(server, "/stream?content=Hi").whole
    assert authorizations(upstream) == [[f"Bearer {CLIENT_KEY}"]] * 3 + [[]]
    assert all(OUR_KEY not in str(each.headers) for each in upstream.requests)


def test_our_key_does_not_come_back_in_what_the_upstream_says(
    upstream: ThreadedUpstream, tmp_path: Path
) -> None:
    told = f"bad key {OUR_KEY}"
    upstream.script(
        respond(401, error_body(told), ("x-told", told)),
        stream(role(), event({"error": {"message": told}})),
    )
    env = {"TAILRACE_UPSTREAM_API_KEY": OUR_KEY}
    with serving(upstream.base_url, tmp_path, env=env) as server, sdk(server) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            ask(client)
        _, broken = until_broken(ask(client))
        assert OUR_KEY not in server.output
    assert OUR_KEY not in f"{refused.value.response.text} {refused.value.response.headers}"
    assert (refused.value.response.headers["x-told"], broken.message) == ("bad key [redacted]",) * 2


def test_our_token_is_the_sdks_key_and_goes_no_further(
    upstream: ThreadedUpstream, tmp_path: Path
) -> None:
    with serving(upstream.base_url, tmp_path, env={"TAILRACE_TOKEN": "let-me-in"}) as server:
        with sdk(server, "let-me-in") as client:
            ask_everything(client)
        with sdk(server, "wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
            ask(client)
    assert caught.value.code == "unauthorized"
    assert authorizations(upstream) == [[]] * 3


def test_cookies_pass_in_neither_direction(upstream: ThreadedUpstream, client: OpenAI) -> None:
    cookie = ("set-cookie", "a=b")
    upstream.script(
        script(Head(headers=(EVENT_STREAM, cookie)), Send(DONE)),
        respond(200, completion(["Hi"]), cookie),
        respond(429, error_body("slow down"), cookie),
    )
    jar = {"Cookie": "session=secret"}
    fields = [ask(client, extra_headers=jar).response.headers]
    got = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[], extra_headers=jar
    )
    fields.append(got.headers)
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client, extra_headers=jar)
    fields.append(caught.value.response.headers)
    assert [each.get("set-cookie") for each in fields] == [None] * 3
    assert [each.header("cookie") for each in upstream.requests] == [None] * 3


def test_a_redirect_is_not_followed(upstream: ThreadedUpstream, server: Server) -> None:
    with ThreadedUpstream() as elsewhere:
        there = ("location", f"{elsewhere.base_url}/chat/completions")
        upstream.script(*[respond(status, b"", there) for status in (301, 302, 307, 308)])
        for status in (301, 302, 307, 308):
            with Viewer(server, "POST", CHAT, [_JSON], _BODY) as viewer:
                assert viewer.head().status == status
        assert elsewhere.requests == []


# --- refusals of ours ---------------------------------------------------------------------------


def openai_error(viewer: Viewer) -> dict[str, Any]:
    """The error in a response of OpenAI's shape."""
    assert viewer.head().fields["content-type"] == "application/json"
    error: dict[str, Any] = json.loads(viewer.rest().data)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_broken_json_is_refused_with_its_place(upstream: ThreadedUpstream, server: Server) -> None:
    with Viewer(server, "POST", CHAT, [_JSON], b'{"model":"m",\n "messages" []}') as viewer:
        error = openai_error(viewer)
    assert (viewer.status, error["code"]) == (400, "bad_request")
    assert "line 2, column 13" in error["message"]
    assert error["type"] == "invalid_request_error"
    assert upstream.requests == []


def test_a_body_over_the_limit_is_refused(upstream: ThreadedUpstream, tmp_path: Path) -> None:
    env = {"TAILRACE_MAX_BODY": "1KiB"}
    with serving(upstream.base_url, tmp_path, env=env) as server, sdk(server) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            ask(client, extra_body={"long": "x" * 1024})
        assert (caught.value.status_code, caught.value.code) == (413, "body_too_large")
        assert content(list(ask(client))) != ""


def test_a_wrong_method_is_told_the_right_one(server: Server) -> None:
    with Viewer(server, "PUT", CHAT) as viewer:
        assert openai_error(viewer)["code"] == "method_not_allowed"
    assert (viewer.status, viewer.fields["allow"]) == (405, "GET, POST")


def test_an_api_that_the_upstream_does_not_have_is_not_found_there(
    client: OpenAI, upstream: ThreadedUpstream
) -> None:
    upstream.script(respond(404, error_body("no such API")))
    with pytest.raises(openai.NotFoundError, match="no such API"):
        client.embeddings.create(model=MODEL, input="Hi")


def test_an_upstream_that_is_not_there_is_told(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream:
        url = upstream.base_url
    with serving(url, tmp_path) as server, sdk(server) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            ask(client)
        assert (caught.value.status_code, caught.value.code) == (502, "upstream_unreachable")


# --- the page in the docs -----------------------------------------------------------------------

_PAGE = Path(__file__).parents[2] / "docs" / "openai.md"


class Block(NamedTuple):
    """A block of code, and what the page says that it prints."""

    language: str
    code: str
    output: str


def _blocks() -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
    blocks: list[Block] = []
    for language, code in found:
        if language == "text":
            blocks[-1] = blocks[-1]._replace(output=code)
        else:
            blocks.append(Block(language, code, ""))
    return blocks


_SERVE, *_PROGRAMS = _blocks()


def _commands(code: str) -> str:
    return re.sub(r"^\$ ", "", code, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that the page's first block starts, but for its upstream and its port."""
    words = shlex.split(_commands(_SERVE.code))
    at = words.index("tailrace")
    assert words[at : at + 3] == ["tailrace", "serve", "--upstream"]
    env = dict(word.split("=", 1) for word in words[:at])
    hello = answer("Hello", ", ", "world!")
    with ThreadedUpstream(hello, fault_scripts(), models=("gpt-4o-mini",)) as upstream:
        data = tmp_path_factory.mktemp("page")
        with serving(upstream.base_url, data, *words[at + 4 :], env=env) as server:
            yield server
        keys = {key for each in authorizations(upstream) for key in each}
        assert keys == {f"Bearer {env['TAILRACE_UPSTREAM_API_KEY']}"}


@pytest.mark.parametrize("number", range(len(_PROGRAMS)))
def test_every_program_on_the_page_prints_what_it_says(page: Server, number: int) -> None:
    block = _PROGRAMS[number]
    assert "http://127.0.0.1:8080" in block.code
    code = block.code.replace("http://127.0.0.1:8080", page.url)
    shells = {"python": [sys.executable, "-c", code], "console": ["sh", "-ec", _commands(code)]}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        shells[block.language],
        env={**os.environ, "PATH": path, "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.stdout.strip(), done.returncode) == (block.output.strip(), 0), done.stderr
    assert block.output
