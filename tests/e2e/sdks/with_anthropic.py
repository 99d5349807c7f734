"""Anthropic's SDK for Python."""

from __future__ import annotations

from itertools import islice
from typing import Any, Literal

from anthropic import Anthropic, Stream
from anthropic.types import MessageParam, RawMessageStreamEvent
from pydantic import BaseModel

from tests.e2e.sdks.steps import CITY, FEW, MANY, PROMPT, SOME, WEATHER, new_key, run_steps, told

RUN = told()
client = Anthropic(base_url=RUN.address.anthropic, api_key="any")


class City(BaseModel):
    """What a structured answer is."""

    city: Literal["Köln", "Paris"]


SCHEMA = {**City.model_json_schema(), "additionalProperties": False}
CANCEL = {"Tailrace-Disconnect": "cancel"}


def says(prompt: str) -> list[MessageParam]:
    return [{"role": "user", "content": prompt}]


def ask(to: Anthropic = client, **more: Any) -> Stream[RawMessageStreamEvent]:
    asked: Stream[RawMessageStreamEvent] = to.messages.create(
        **{"model": RUN.model, "max_tokens": SOME, **more},
        messages=says(PROMPT),
        stream=True,
    )
    return asked


def dumped(pieces: Any) -> list[Any]:
    return [each.model_dump(mode="json") for each in pieces]


def streaming() -> Any:
    with client.messages.stream(model=RUN.model, messages=says(PROMPT), max_tokens=SOME) as events:
        return dumped(events), events.get_final_message().model_dump(mode="json")


def whole_message() -> Any:
    answer = client.messages.create(model=RUN.model, messages=says(PROMPT), max_tokens=SOME)
    return answer.model_dump(mode="json")


def tools() -> Any:
    with client.messages.stream(
        model=RUN.model,
        messages=says(WEATHER),
        max_tokens=MANY // 10,
        tools=[{"name": "weather", "input_schema": SCHEMA}],
        tool_choice={"type": "any"},
    ) as events:
        return dumped(events), events.get_final_message().model_dump(mode="json")


def structured() -> Any:
    answer = client.messages.parse(
        model=RUN.model,
        messages=says(CITY),
        max_tokens=SOME,
        output_format=City,
    )
    return answer.parsed_output


def abort() -> Any:
    answer = ask(model=RUN.endless_model, max_tokens=MANY, extra_headers=CANCEL)
    seen = list(islice(answer, FEW))
    answer.close()
    try:
        left = f"{len(list(answer))} more"
    except Exception as error:
        left = type(error).__name__
    return dumped(seen), left


def retry() -> Any:
    with Anthropic(base_url=RUN.refusing.anthropic, api_key="any", max_retries=2) as patient:
        return dumped(ask(patient, model=f"{RUN.refused_model}-message"))


def resume() -> Any:
    """By its key: the same request again gives the same answer, from its beginning."""
    asked: dict[str, Any] = {"model": RUN.halting_model, "max_tokens": MANY // 10}
    if not RUN.resumes:
        return dumped(ask(**asked))
    asked["extra_headers"] = {"Idempotency-Key": new_key()}
    first = ask(**asked)
    seen = list(islice(first, FEW))
    first.close()
    again = ask(**asked)
    assert again.response.headers["idempotency-replayed"] == "true"
    whole = list(again)
    assert whole[:FEW] == seen
    return dumped(whole)


if __name__ == "__main__":
    run_steps(
        streaming=streaming,
        not_streaming=whole_message,
        tools=tools,
        structured=structured,
        abort=abort,
        retry=retry,
        resume=resume,
    )
