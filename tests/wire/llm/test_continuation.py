"""The rest of an answer: what is asked for it, and what is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailrace.testing.chunks import chat_chunks, chunk, role_chunk
from tailrace.wire.json.json_edit import JsonObject, read_object
from tailrace.wire.llm.continuation import Continuing, Rest
from tailrace.wire.slices import finish


def object_of(body: bytes) -> JsonObject:
    return finish(read_object(body))


BODY = object_of(b'{"model": "m", "messages": [ {"role":"user","content":"Hi"} ], "seed": 1.50}')


def continued_request(body: JsonObject, events: list[bytes]) -> JsonObject | None:
    continuing = Continuing(body)
    all(continuing.add(data) for data in events)
    return continuing.request()


def data_of(*blocks: bytes) -> list[bytes]:
    return [block.removeprefix(b"data: ").removesuffix(b"\n\n") for block in blocks]


def test_the_text_so_far_is_the_beginning_of_what_is_asked_for() -> None:
    events = data_of(role_chunk(), chunk("Gr"), chunk("üße"))
    request = continued_request(BODY, events)
    assert request is not None
    assert request.data.startswith(b'{"model": "m", "messages": [ {"role":"user","content":"Hi"},{')
    assert request.data.endswith(b', "seed": 1.50}')
    assert json.loads(request.data)["messages"][1] == {"role": "assistant", "content": "Grüße"}


def test_where_nothing_was_asked_the_answer_is_all_there_is() -> None:
    request = continued_request(object_of(b'{"messages":[]}'), data_of(chunk("a")))
    assert request is not None
    assert request.data == b'{"messages":[{"role": "assistant", "content": "a"}]}'


@pytest.mark.parametrize(
    "events",
    [
        [],
        data_of(role_chunk()),
        data_of(chunk("a"), chunk(finish_reason="stop")),
        data_of(chunk("a"), chunk(delta={"tool_calls": [{"index": 0}]})),
        data_of(chunk("a"), chunk("b", index=1)),
        data_of(chunk("a"), chunk(delta={"reasoning_content": "hm"})),
        [b"[]"],
        [b"{}"],
    ],
)
def test_what_is_more_than_text_or_at_its_end_nobody_goes_on_with(events: list[bytes]) -> None:
    assert continued_request(BODY, events) is None


@pytest.mark.parametrize("body", [b"{}", b'{"messages":"Hi"}', b'{"messages":null}'])
def test_what_is_no_chat_nobody_goes_on_with(body: bytes) -> None:
    assert continued_request(object_of(body), data_of(chunk("a"))) is None


def test_the_rest_is_text_and_an_end_in_the_first_answers_words() -> None:
    rest = Rest(data_of(chunk("a", extra={"usage": None}))[0])
    other = data_of(*chat_chunks(["b", "c"], model="another", include_usage=True)[:-1])
    made: list[Any] = [json.loads(each) for each in map(rest.chunk, other) if each is not None]
    assert [each["model"] for each in made] == ["test-model"] * 3
    assert [each["choices"][0]["delta"].get("content") for each in made] == ["b", "c", None]
    assert [each["choices"][0]["finish_reason"] for each in made] == [None, None, "stop"]
    assert made[0] == json.loads(data_of(chunk("b"))[0])


def test_what_has_no_choice_is_not_shown() -> None:
    rest = Rest(b"{}")
    assert rest.chunk(b'{"choices":[]}') is None
    assert rest.chunk(b'{"choices":[1]}') is None
    assert rest.chunk(b'{"choices":[{"delta":null}]}') is None
    assert rest.chunk(b"oops") is None
