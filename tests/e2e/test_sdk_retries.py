"""Official SDKs with their own retries on: the upstream is asked at most once more than they ask,
and what they report in the end is the upstream's own.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from anthropic import APIStatusError as AnthropicStatusError
from openai import APIError, APIStatusError, OpenAI

from tailrace.testing.chunks import error_body, event
from tailrace.testing.exchange import ScriptedExchange
from tailrace.testing.script import Script, respond, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.conformance.node import installed
from tests.e2e.harness import Server, serving

SDKS = Path(__file__).parent / "sdks"
MESSAGES: Any = [{"role": "user", "content": "Hi"}]
RETRIES = 2
"""The default of every one of these SDKs."""
SOON = ("retry-after-ms", "5")
TOO_LONG = {"code": 400, "message": "it exceeds the context size", "type": "exceed_context_size"}


@dataclass(frozen=True)
class Refusal:
    """How an upstream refuses, and how often an SDK asks it."""

    status: int
    body: bytes
    tries: int = 1 + RETRIES
    most: int = 2 + RETRIES
    """Requests that the upstream may get."""

    @property
    def script(self) -> Script:
        if self.status == 200:
            return stream(event(json.loads(self.body)))
        return respond(self.status, self.body, SOON)


REFUSALS = {
    "500": Refusal(500, error_body("the model crashed")),
    "503": Refusal(503, error_body("loading the model", kind="unavailable_error")),
    "429": Refusal(429, error_body("slow down", kind="requests", code="rate_limit_exceeded")),
    "529": Refusal(529, b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}'),
    "400": Refusal(
        400,
        error_body("too long", kind="invalid_request_error", code="context_length_exceeded"),
        tries=1,
        most=1,
    ),
    # The SDK tries again by the status alone; we know better.
    "500, too long": Refusal(
        500, error_body("too long", code="context_length_exceeded"), most=1 + RETRIES
    ),
    "in the stream": Refusal(200, json.dumps({"error": TOO_LONG}).encode(), tries=1, most=1),
    "in the stream, 500": Refusal(200, error_body("the model crashed"), tries=1, most=2),
}


def reply(exchange: ScriptedExchange) -> Script:
    return REFUSALS[exchange.asked["model"].partition("|")[0]].script


@pytest.fixture(scope="module")
def upstream() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream(reply) as running:
        yield running


@pytest.fixture(scope="module")
def server(
    upstream: ThreadedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """With the settings that a server has by default."""
    flags = ("--retry-budget", "3s", "--breaker", "true")
    with serving(upstream.base_url, tmp_path_factory.mktemp("data"), *flags) as running:
        yield running


def asked(upstream: ThreadedUpstream, model: str) -> int:
    return sum(each.asked.get("model") == model for each in upstream.requests)


def with_openai(server: Server, model: str, *, streams: bool) -> tuple[int, Any]:
    """The status and the body of the error that the SDK raises."""
    with OpenAI(base_url=f"{server.url}/v1", api_key="k") as client:
        assert client.max_retries == RETRIES
        try:
            made: Any = client.chat.completions.create(
                model=model, messages=MESSAGES, stream=streams
            )
            list(made)
        except APIStatusError as error:
            return error.status_code, error.response.json()
        except APIError as error:
            return 200, {"error": error.body}
    raise AssertionError("no error")


def with_anthropic(server: Server, model: str, *, streams: bool) -> tuple[int, Any]:
    """The same; what is said in a stream has the stream's status."""
    with Anthropic(base_url=server.url, api_key="k") as client:
        assert client.max_retries == RETRIES
        try:
            made: Any = client.messages.create(
                model=model, messages=MESSAGES, max_tokens=9, stream=streams
            )
            list(made)
        except AnthropicStatusError as error:
            said = error.body if error.status_code == 200 else error.response.json()
            return error.status_code, said
    raise AssertionError("no error")


@pytest.mark.parametrize("ask", [with_openai, with_anthropic])
def test_an_sdks_retries_are_not_multiplied_and_it_sees_the_upstreams_own_error(
    upstream: ThreadedUpstream, server: Server, ask: Any
) -> None:
    cases = [
        (name, streams)
        for name, refusal in REFUSALS.items()
        for streams in (False, True)
        if streams or refusal.status != 200
    ]

    def one(name: str, streams: bool) -> None:
        refusal = REFUSALS[name]
        model = f"{name}|{ask.__name__}|{streams}"
        status, body = ask(server, model, streams=streams)
        assert status == refusal.status, model
        want = json.loads(refusal.body)
        # A bare error in a stream of typed events is given the type that Anthropic's SDK goes by.
        assert {**body, "type": None} == {**want, "type": None}, model
        assert asked(upstream, model) <= refusal.most, model

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one, *case) for case in cases]:
            done.result()


def test_an_sdk_in_javascript_sees_the_same(upstream: ThreadedUpstream, server: Server) -> None:
    names = [name for name, refusal in REFUSALS.items() if refusal.status != 200]
    models = [f"{name}|javascript" for name in names]
    told = json.dumps({"url": f"{server.url}/v1", "models": models})
    command = ["node", str(installed(SDKS) / "retries.mjs"), told]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    for name, model, (status, error) in zip(names, models, seen, strict=True):
        refusal = REFUSALS[name]
        assert (status, error) == (refusal.status, json.loads(refusal.body)["error"]), model
        assert asked(upstream, model) <= refusal.most, model
