"""The answers of every API are those of a real server, and every fault of each is what it says."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types import Completion
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tailrace.model import EndingKind
from tailrace.testing.apis import APIS, ScriptedApi, api_at
from tailrace.testing.chunks import DONE
from tailrace.testing.completion_chunks import text_chunks, text_completion
from tailrace.testing.faults import FAULTS, fault_replies, fault_scripts, faults_of
from tailrace.testing.message_events import message_events, tool_events, whole_message
from tailrace.testing.response_events import (
    call_events,
    failed_event,
    keepalive,
    last_event,
    response_error,
    response_events,
    whole_response,
)
from tailrace.testing.script import Head, Raw, Send
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.testing.upstream import HELLO
from tailrace.wire.llm import apis
from tailrace.wire.llm.assemble_chat import ChatAssembly
from tailrace.wire.llm.assemble_responses import ResponseAssembly
from tailrace.wire.llm.records import AnswerParser, Record, RecordKind
from tailrace.wire.sse import Parser

TEXTS = ["One ", "day", " 🌊."]
WORDS = "".join(TEXTS)
EVERY = list(APIS.values())


def records(name: str, body: bytes) -> list[Record]:
    parser = AnswerParser(apis.APIS[name].grammar, 1 << 22)
    return parser.feed(body) + parser.finish(complete=True)


def values(events: list[bytes]) -> list[Any]:
    """The data of blocks whose type is that of their data."""
    got = Parser(1 << 20).feed(b"".join(events))
    assert [event.type for event in got] == [json.loads(event.data)["type"] for event in got]
    return [json.loads(event.data) for event in got]


def test_the_openai_library_takes_responses() -> None:
    events = response_events(TEXTS)
    events += call_events("f", ['{"a":', "1}"], len(events))
    events += [failed_event("no", 20), response_error("no", 21), last_event(TEXTS, 22)]
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for value in values(events):
        adapter.validate_python(value)
    assert values([keepalive(3)]) == [{"type": "keepalive", "sequence_number": 3}]
    assert Response.model_validate_json(whole_response(TEXTS)).output_text == WORDS


def test_events_of_a_response_are_numbered() -> None:
    events = response_events(TEXTS)
    events += call_events("f", ["{}"], len(events))
    assert [value["sequence_number"] for value in values(events)] == list(range(len(events)))


def test_the_anthropic_library_takes_messages() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for value in values([*message_events(TEXTS), *tool_events("f", ['{"a":', "1}"])]):
        if value["type"] != "ping":
            adapter.validate_python(value)
    (block,) = Message.model_validate_json(whole_message(TEXTS)).content
    assert block.type == "text"
    assert block.text == WORDS


def test_the_openai_library_takes_completions() -> None:
    *_, finish, usage, done = text_chunks(TEXTS, choices=2, include_usage=True)
    assert done == DONE
    for chunk in (finish, usage):  # in others finish_reason is null, which its types leave out
        Completion.model_validate_json(chunk.removeprefix(b"data: "))
    answer = Completion.model_validate_json(text_completion(TEXTS, choices=2))
    assert [each.text for each in answer.choices] == [WORDS, WORDS]


def test_what_is_streamed_is_what_is_not() -> None:
    response = ResponseAssembly()
    for record in records("responses", b"".join(response_events(TEXTS))):
        response.add(record.data)
    assert response.result(EndingKind.COMPLETED, "") == json.loads(whole_response(TEXTS))
    for name, whole in (("chat", APIS["chat"].whole(TEXTS, "m")), ("completions", b"")):
        chat = ChatAssembly()
        for record in records(name, b"".join(APIS[name].answer(TEXTS, "m").events))[:-1]:
            chat.add(record.data)
        wanted = json.loads(whole or text_completion(TEXTS, model="m"))
        del wanted["usage"]
        assert chat.result(EndingKind.COMPLETED, "") == wanted


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_an_answer_reads_as_one(api: ScriptedApi) -> None:
    got = records(api.name, b"".join(api.answer(TEXTS, "m").events))
    kinds = [record.kind for record in got if record.kind is not RecordKind.PING]
    assert kinds[-1] in (RecordKind.DONE, RecordKind.LAST)
    assert set(kinds[:-1]) == {RecordKind.CHUNK}
    assert apis.APIS[api.name].path == api.path


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_a_fault_says_what_its_table_says(api: ScriptedApi, name: str) -> None:
    fault = faults_of(api.name)[name]
    assert fault_scripts(api.name)[name] is fault.script
    head = next((step for step in fault.script.steps if isinstance(step, Head)), Head(500))
    if head != Head() and head.headers != Head().headers:
        return  # refused, or no event stream
    sent = (step.data for step in fault.script.steps if isinstance(step, Send))
    text, done = "", False
    read = apis.APIS[api.name].text_reader()
    for record in records(api.name, b"".join(sent)):
        if record.kind in (RecordKind.DONE, RecordKind.LAST):
            done = True
        if record.kind not in (RecordKind.DONE, RecordKind.MALFORMED):
            text += read(record.data).decode()
    if any(isinstance(step, Raw) for step in fault.script.steps) and not text:
        return  # the answer is in a chunk of its own framing
    assert (text, done) == (fault.text, fault.done)


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
def test_an_error_is_one_in_each_api(api: ScriptedApi) -> None:
    for error in api.errors:
        (record,) = records(api.name, error)
        assert record.kind is RecordKind.ERROR
    (record,) = records(api.name, api.malformed)
    assert record.kind is RecordKind.MALFORMED


def test_a_path_says_the_api() -> None:
    for api in EVERY:
        assert api_at(f"/v1{api.path}?a=b") is api
    assert api_at("/v1/else") is APIS["chat"]


# --- through the libraries ----------------------------------------------------------------------


def test_the_upstream_answers_every_api() -> None:
    hello = "".join(HELLO)
    with ThreadedUpstream(scripts=fault_replies()) as upstream:
        with openai.OpenAI(base_url=upstream.base_url, api_key="k", max_retries=0) as client:
            response = client.responses.create(model="m", input="Hi")
            assert (response.output_text, response.model) == (hello, "m")
            with client.responses.stream(model="m", input="Hi") as events:
                assert events.get_final_response().output_text == hello
            texts = client.completions.create(model="m", prompt="Hi", stream=True)
            assert "".join(each.choices[0].text for each in texts) == hello
            whole = client.completions.create(model="m", prompt="Hi")
            assert whole.choices[0].text == hello
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=0) as messages:
            asked: dict[str, Any] = {"model": "m", "max_tokens": 9}
            said: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
            message: Any = messages.messages.create(messages=said, **asked)
            assert message.content[0].text == hello
            with messages.messages.stream(messages=said, **asked) as streamed:
                assert streamed.get_final_text() == hello
            said[0]["content"][0]["text"] = "script:error-event"
            with (
                pytest.raises(anthropic.APIError, match="overloaded"),
                messages.messages.stream(messages=said, **asked) as streamed,
            ):
                streamed.get_final_text()


def test_a_prompt_may_name_the_script_in_each_api() -> None:
    with (
        ThreadedUpstream(scripts=fault_replies()) as upstream,
        openai.OpenAI(base_url=upstream.base_url, api_key="k", max_retries=0) as client,
    ):
        for ask in (
            lambda: client.responses.create(model="m", input="script:429"),
            lambda: client.responses.create(
                model="m", input=[{"role": "user", "content": "script:429"}]
            ),
            lambda: client.completions.create(model="m", prompt=["a", "script:429"]),
        ):
            with pytest.raises(openai.RateLimitError):
                ask()
