"""The completions that tests are fed look like those of a real server."""

from __future__ import annotations

import json
from typing import Any

from tailrace.testing.chunks import DONE, chat_chunks, completion, model_list


def payloads(events: list[bytes]) -> list[Any]:
    assert events[-1] == DONE
    return [json.loads(each.removeprefix(b"data: ")) for each in events[:-1]]


def test_every_chunk_of_an_answer_has_the_same_frame() -> None:
    chunks = payloads(chat_chunks(["a", "b"]))
    frames = {(each["id"], each["created"], each["model"], each["object"]) for each in chunks}
    assert len(frames) == 1


def test_the_finish_reason_is_null_until_the_last_chunk() -> None:
    chunks = payloads(chat_chunks(["a", "b"]))
    assert [each["choices"][0]["finish_reason"] for each in chunks] == [None, None, None, "stop"]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0]["delta"] == {}


def test_choices_take_turns() -> None:
    chunks = payloads(chat_chunks(["a", "b"], choices=2))
    assert [each["choices"][0]["index"] for each in chunks] == [0, 1] * 4


def test_usage_is_null_until_an_event_without_choices() -> None:
    *chunks, last = payloads(chat_chunks(["a", "b"], include_usage=True))
    assert all(each["usage"] is None for each in chunks)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 2


def test_the_openai_library_takes_what_is_not_streamed() -> None:
    from openai.types import Model
    from openai.types.chat import ChatCompletion

    answer = ChatCompletion.model_validate_json(completion(["a", "b"], choices=2), strict=True)
    assert [each.message.content for each in answer.choices] == ["ab", "ab"]
    models = json.loads(model_list(["m"]))
    assert Model.model_validate(models["data"][0], strict=True).id == "m"
