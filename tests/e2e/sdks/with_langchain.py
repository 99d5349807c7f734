"""LangChain's package for OpenAI: chats, and the same through the Responses API."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial, reduce
from itertools import islice
from operator import add
from typing import Any, Literal, cast

from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.e2e.sdks.steps import CITY, FEW, MANY, PROMPT, SOME, WEATHER, new_key, run_steps, told

RUN = told()
CANCEL = {"Tailrace-Disconnect": "cancel"}


class City(BaseModel):
    """A city."""

    city: Literal["Köln", "Paris"]


class Weather(BaseModel):
    """The weather in a city."""

    city: Literal["Köln", "Paris"]


def model(**more: Any) -> ChatOpenAI:
    return ChatOpenAI(
        **{"base_url": RUN.address.openai, "model": RUN.model, "max_tokens": SOME, **more},
        api_key=SecretStr("any"),
        temperature=0,
    )


def dumped(pieces: Any) -> list[Any]:
    return [each.model_dump(mode="json") for each in pieces]


def streaming(**kind: Any) -> Any:
    return dumped(model(**kind).stream(PROMPT))


def tools(**kind: Any) -> Any:
    asking = model(**{**kind, "max_tokens": MANY // 10})
    pieces = list(asking.bind_tools([Weather], tool_choice="required").stream(WEATHER))
    return dumped([*pieces, reduce(add, pieces)])


def structured(**kind: Any) -> Any:
    asking = model(**{**kind, "max_tokens": MANY // 10})
    return asking.with_structured_output(City, method="json_schema").invoke(CITY)


def abort(**kind: Any) -> Any:
    asking = model(**{**kind, "model": RUN.endless_model, "max_tokens": MANY})
    with closing(cast("Any", asking.stream(PROMPT, extra_headers=CANCEL))) as answer:
        seen = dumped(islice(answer, FEW))
    return seen, len(list(answer))


def retry(**kind: Any) -> Any:
    name = "response" if kind else "chat"
    told = {"base_url": RUN.refusing.openai, "model": f"{RUN.refused_model}-{name}"}
    asking = model(**{**kind, **told, "max_retries": 2})
    return dumped(asking.stream(PROMPT))


def resume(**kind: Any) -> Any:
    """By its key: the same request again gives the same answer, from its beginning."""
    asking = model(**{**kind, "model": RUN.halting_model, "max_tokens": MANY // 10})
    if not RUN.resumes:
        return dumped(asking.stream(PROMPT))
    key = {"Idempotency-Key": new_key()}
    with closing(cast("Any", asking.stream(PROMPT, extra_headers=key))) as answer:
        seen = [each.content for each in islice(answer, FEW)]
    again = list(asking.stream(PROMPT, extra_headers=key))
    assert [each.content for each in again[:FEW]] == seen
    return dumped(again)


STEPS: dict[str, Callable[..., Any]] = {
    "streaming": streaming,
    "tools": tools,
    "structured": structured,
    "abort": abort,
    "retry": retry,
    "resume": resume,
}

if __name__ == "__main__":
    run_steps(
        **STEPS,
        **{
            f"{name}_of_a_response": partial(step, use_responses_api=True)
            for name, step in STEPS.items()
        },
    )
