"""Clients that others wrote, on a stream that nobody made for them: a chat's answer.

``@durable-streams/client`` (npm) and ``durable-streams`` (PyPI) know nothing of models. They
follow the answer while it runs, and get its chunks, each once, and then its end.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from durable_streams import stream as follow_in_python

from tailrace.testing.chunks import DONE, chat_chunks
from tailrace.testing.script import stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.conformance.node import installed
from tests.e2e.harness import Server, Viewer, get, serving

TEXTS = ["Hel", "lo, ", "wörld ", "\u2028", "🌊"]
_SECONDS = 60
_JSON = ("Content-Type", "application/json")
_QUESTION = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}'


class Running(NamedTuple):
    url: str
    upstream: ThreadedUpstream
    chunks: list[Any]


@contextmanager
def running_answer(tmp_path: Path) -> Iterator[Running]:
    """An answer of which two chunks have come, and that goes on when the gate is opened."""
    chunks = chat_chunks(TEXTS)
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(stream(*chunks, DONE, gate="token"))
        upstream.admit("token", 2)
        with Viewer(server, "POST", "/v1/chat/completions", [_JSON], _QUESTION).head() as asker:
            assert asker.status == 200
            url = f"{server.url}{asker.fields['content-location']}"
            wait_for_chunks(server, asker.fields["content-location"], 2)
            yield Running(url, upstream, [json.loads(c[6:]) for c in chunks if c != DONE])


def wait_for_chunks(server: Server, link: str, count: int) -> None:
    with get(server, f"{link}?view=ndjson") as viewer:
        viewer.until(lambda data: data.count(b"\n") == count)


@pytest.mark.parametrize("mode", ["true", "long-poll", "sse"])
def test_the_javascript_client_gets_exactly_the_chunks_of_a_running_answer(
    mode: str, tmp_path: Path
) -> None:
    folder = installed()
    with running_answer(tmp_path) as answer:
        command = ["node", "follow.mjs", answer.url, mode]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            first = [json.loads(client.stdout.readline()) for _ in range(2)]
            answer.upstream.open("token")
            rest, _ = client.communicate(timeout=_SECONDS)
        assert client.returncode == 0
        assert first + [json.loads(line) for line in rest.split("\n") if line] == answer.chunks


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_the_python_client_gets_exactly_the_chunks_of_a_running_answer(
    mode: Any, tmp_path: Path
) -> None:
    with running_answer(tmp_path) as answer:
        got: list[Any] = []
        two = threading.Event()

        def follow() -> None:
            with follow_in_python(answer.url, offset="-1", live=mode) as response:
                for message in response.iter_json():
                    got.append(message)
                    if len(got) == 2:
                        two.set()
                    if len(got) == len(answer.chunks):
                        return  # version 0.1.0 knows no closed streams, and would ask for ever

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        assert two.wait(_SECONDS)
        answer.upstream.open("token")
        thread.join(_SECONDS)
        assert got == answer.chunks
        with follow_in_python(answer.url, offset="-1", live=False) as response:
            assert list(response.iter_json()) == answer.chunks
