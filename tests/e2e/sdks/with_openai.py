"""OpenAI's SDK for Python: chats, responses and completions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal

from openai import OpenAI, Stream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel

from tests.e2e.sdks.steps import CITY, FEW, MANY, PROMPT, SOME, WEATHER, new_key, run_steps, told

RUN = told()
client = OpenAI(base_url=RUN.address.openai, api_key="any")


class City(BaseModel):
    """What a structured answer is."""

    city: Literal["Köln", "Paris"]


SCHEMA = {**City.model_json_schema(), "additionalProperties": False}
# Tailrace's; a model API does not know them.
CANCEL = {"Tailrace-Disconnect": "cancel"}
KEEP = {"Tailrace-Disconnect": "keep"}


def says(prompt: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": prompt}]


def chat(prompt: str = PROMPT, **more: Any) -> Stream[ChatCompletionChunk]:
    asked: Stream[ChatCompletionChunk] = client.chat.completions.create(
        **{"model": RUN.model, "max_tokens": SOME, **more},
        messages=says(prompt),
        stream=True,
        temperature=0,
        seed=7,
    )
    return asked


def response(**more: Any) -> Stream[ResponseStreamEvent]:
    asked: Stream[ResponseStreamEvent] = client.responses.create(
        **{"model": RUN.model, "max_output_tokens": SOME, **more},
        input=PROMPT,
        stream=True,
        temperature=0,
    )
    return asked


def dumped(pieces: Any) -> list[Any]:
    return [each.model_dump(mode="json") for each in pieces]


def text(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(c.delta.content or "" for each in chunks for c in each.choices)


# --- streaming ----------------------------------------------------------------------------------


def streamed_completion() -> Any:
    return dumped(
        client.completions.create(
            model=RUN.model, prompt=PROMPT, stream=True, max_tokens=SOME, temperature=0, seed=7
        )
    )


def whole_chat() -> Any:
    answer = client.chat.completions.create(
        model=RUN.model, messages=says(PROMPT), max_tokens=SOME, temperature=0, seed=7
    )
    return answer.model_dump(mode="json")


# --- tools --------------------------------------------------------------------------------------


def tools() -> Any:
    with client.chat.completions.stream(
        model=RUN.model,
        messages=says(WEATHER),
        tools=[{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}],
        tool_choice="required",
        temperature=0,
        seed=7,
    ) as events:
        kinds = [each.type for each in events]
        return kinds, events.get_final_completion().choices[0].model_dump(mode="json")


def response_tools() -> Any:
    return dumped(
        client.responses.create(
            model=RUN.model,
            input=WEATHER,
            tools=[{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}],
            tool_choice="required",
            temperature=0,
            stream=True,
        )
    )


# --- structured output --------------------------------------------------------------------------


def structured() -> Any:
    with client.chat.completions.stream(
        model=RUN.model, messages=says(CITY), response_format=City, temperature=0, seed=7
    ) as events:
        for _ in events:
            pass
        return events.get_final_completion().choices[0].message.parsed


def response_structured() -> Any:
    answer = client.responses.parse(
        model=RUN.model, input=CITY, text_format=City, temperature=0, max_output_tokens=SOME
    )
    return answer.output_parsed


# --- leaving in the middle ----------------------------------------------------------------------


def abort() -> Any:
    answer = chat(model=RUN.endless_model, max_tokens=MANY, extra_headers=CANCEL)
    seen = list(islice(answer, FEW))
    answer.close()
    return dumped(seen), left_over(answer)


def response_abort() -> Any:
    answer = response(model=RUN.endless_model, max_output_tokens=MANY, extra_headers=CANCEL)
    seen = list(islice(answer, FEW))
    answer.close()
    return dumped(seen), left_over(answer)


def left_over(answer: Iterator[Any]) -> str:
    """What a stream that was closed says to one who reads on."""
    try:
        return f"{len(list(answer))} more"
    except Exception as error:
        return type(error).__name__


# --- a refusal, and again -----------------------------------------------------------------------


def retry() -> Any:
    with OpenAI(base_url=RUN.refusing.openai, api_key="any", max_retries=2) as patient:
        answer = patient.chat.completions.with_raw_response.create(
            model=f"{RUN.refused_model}-chat",
            messages=says(PROMPT),
            stream=True,
            max_tokens=SOME,
            seed=7,
        )
        return answer.retries_taken, dumped(answer.parse())


# --- coming back --------------------------------------------------------------------------------


def resume() -> Any:
    """A chat by its key: the same request again gives the same answer, from its beginning."""
    asked: dict[str, Any] = {"model": RUN.halting_model, "max_tokens": MANY // 10}
    if not RUN.resumes:
        return text(list(chat(**asked)))
    asked["extra_headers"] = {"Idempotency-Key": new_key()}
    first = chat(**asked)
    seen = list(islice(first, FEW))
    first.close()
    again = chat(**asked)
    assert again.response.headers["idempotency-replayed"] == "true"
    whole = list(again)
    assert whole[:FEW] == seen
    return text(whole)


def response_resume() -> Any:
    """A response by its id: what follows the last event that was seen."""
    asked = response(model=RUN.halting_model, max_output_tokens=MANY // 10, extra_headers=KEEP)
    if not RUN.resumes:
        return dumped(asked)
    seen = list(islice(asked, FEW))
    asked.close()
    assert seen[0].type == "response.created"
    rest = client.responses.retrieve(seen[0].response.id, stream=True, starting_after=FEW - 1)
    return dumped([*seen, *rest])


if __name__ == "__main__":
    run_steps(
        streaming=lambda: dumped(chat(stream_options={"include_usage": True})),
        streaming_without_usage=lambda: dumped(chat()),
        streaming_a_response=lambda: dumped(response()),
        streaming_a_completion=streamed_completion,
        not_streaming=whole_chat,
        tools=tools,
        tools_of_a_response=response_tools,
        structured=structured,
        structured_response=response_structured,
        abort=abort,
        abort_of_a_response=response_abort,
        retry=retry,
        resume=resume,
        resume_of_a_response=response_resume,
    )
