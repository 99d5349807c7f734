"""Official SDKs see through Tailrace what they see without it.

Each script in ``sdks`` takes a set of steps with one SDK: streaming, tools, structured output,
abort, retry, resume. It runs twice, asking an upstream directly and asking it through Tailrace,
and has to print the same, but for what differs from one asking to the next: ids and times.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tailrace.testing.exchange import ScriptedExchange
from tailrace.testing.script import Script, respond
from tailrace.testing.threaded import ThreadedUpstream
from tests.conformance.node import installed
from tests.e2e.harness import serving
from tests.e2e.sdks.steps import Address, Run
from tests.upstreams.llama import CALLS_TOOLS, llama_server
from tests.upstreams.llmock_server import Llmock, llmock_server
from tests.upstreams.tiny_gguf import MODEL_NAME, cached_tiny_gguf

ROOT = Path(__file__).parents[2]
SDKS = Path(__file__).parent / "sdks"
SCRIPTS = ("with_openai.py", "with_openai.mjs", "with_anthropic.py", "with_ai_sdk.mjs",
           "with_langchain.py")  # fmt: skip
_SECONDS = 100.0
# What SDKs read from the environment of whoever runs the tests.
_TO_SDKS = ("OPENAI_", "ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_")

# What is another one each time, wherever it stands: ids are numbered as they appear, so that
# what was one id still has to be one.
_ID = re.compile(
    r"\b(?:aitxt|chatcmpl|cmpl|resp|msg|fc|call|toolu)[-_][0-9A-Za-z]{16,}\b"
    r"|\blc_run--[0-9a-f-]{36}\b"
    r"|\b[0-9A-Za-z]{32}\b"
)
_TIME = re.compile(r"\b1[789]\d{8}(?:\.\d+)?\b")
# llama.cpp's stopwatch, in an event that an error message quotes.
_STOPWATCH = re.compile(r'timings\\+":\{[^{}]*\}')


def normal(line: str) -> Any:
    """A line of a script's output without ids and times."""
    ids: dict[str, str] = {}
    line = _STOPWATCH.sub("", line)
    line = _ID.sub(lambda found: ids.setdefault(found[0], f"id-{len(ids)}"), line)
    return without_stopwatch(json.loads(_TIME.sub("0", line)))


def without_stopwatch(value: Any) -> Any:
    """``value`` without llama.cpp's own ``timings``.

    They come in the last chunk, which is that of the usage where it is asked for, as Tailrace does
    for a client who does not.
    """
    if isinstance(value, dict):
        return {k: without_stopwatch(each) for k, each in value.items() if k != "timings"}
    return [without_stopwatch(each) for each in value] if isinstance(value, list) else value


def differences(one: Any, other: Any, at: str) -> Iterator[str]:
    """Where two values differ: in words that can be read, which a diff of these cannot."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from differences(one[name], other[name], f"{at}.{name}")
    elif isinstance(one, list) and isinstance(other, list):
        for place, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from differences(left, right, f"{at}[{place}]")
        if len(one) != len(other):
            yield f"{at}: {len(one)} or {len(other)} long"
    elif one != other:
        yield f"{at}: {one!r:.300} is not {other!r:.300}"


# --- the upstreams ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upstream:
    """An upstream as its clients find it, and behind Tailrace."""

    direct: Run
    relayed: Run
    refuse: Callable[[], None]
    """Refuse the next request for each of the models that are refused, once."""


def ways(plain: Address, refusing: Address, stack: ExitStack, data: Path) -> tuple[Run, Run]:
    """Asking directly, and asking through Tailrace: a server for each of the addresses."""
    servers: dict[str, str] = {}

    def before(url: str) -> str:
        if url not in servers:
            servers[url] = stack.enter_context(serving(url, data / f"{len(servers)}")).url
        return servers[url]

    def relayed(address: Address) -> Address:
        return Address(f"{before(address.openai)}/v1", before(f"{address.anthropic}/v1"))

    direct = Run(plain, refusing, **MODELS, resumes=False)
    return direct, Run(relayed(plain), relayed(refusing), **MODELS, resumes=True)


MODELS = {
    "model": MODEL_NAME,
    "refused_model": "refused",
    "endless_model": "endless",
    "halting_model": "halting",
}


class Refusing:
    """A reply that hands on what is asked, but may refuse it first."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._models: set[str] = set()

    def __call__(self, exchange: ScriptedExchange) -> Script:
        if (model := exchange.asked["model"]) in self._models:
            self._models.remove(model)
            return respond(503, _BUSY, ("retry-after-ms", "10"))
        answer = httpx.post(self._url + exchange.target, content=exchange.body, timeout=_SECONDS)
        kind = ("content-type", answer.headers["content-type"])
        return respond(answer.status_code, answer.content, kind)

    def refuse(self) -> None:
        self._models = set(REFUSED)


REFUSED = [f"refused-{each}" for each in ("chat", "response", "compatible", "message")]
_BUSY = b'{"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}'


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """llama.cpp's server, with one before it for the requests that are to be refused."""
    data = tmp_path_factory.mktemp("llama")
    model = cached_tiny_gguf(Path(tempfile.gettempdir()) / "tailrace-models")
    server = llama_server(model, slots=2, context=8192, template=CALLS_TOOLS, greedy=True)
    with ExitStack() as stack:
        root = stack.enter_context(server).removesuffix("/v1")
        refusing = Refusing(root)
        before = stack.enter_context(ThreadedUpstream(refusing))
        plain, refused = Address(f"{root}/v1", root), Address(before.base_url, before.url)
        yield Upstream(*ways(plain, refused, stack, data), refusing.refuse)


@pytest.fixture(scope="module")
def llmock() -> Iterator[Llmock]:
    with llmock_server() as running:
        yield running


@pytest.fixture(scope="module")
def mock(llmock: Llmock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """llmock, which refuses by itself. An answer halts, so that it is left in its middle."""
    data = tmp_path_factory.mktemp("llmock")
    address = Address(llmock.base_url, f"{llmock.url}/anthropic")
    halt = {"type": "stream_fault", "kind": "stall", "after_chunks": 10, "times": None}
    halts = [
        {**halt, "stall_seconds": seconds, "match": {"model": model, "stream": True}}
        for model, seconds in (("endless", 3600), ("halting", 0.3))
    ]
    busy = {"type": "fail", "status": 503, "retry_after": 0.01}

    def refuse() -> None:
        llmock.reset()
        llmock.queue(*halts, *({**busy, "match": {"model": each}} for each in REFUSED))

    with ExitStack() as stack:
        yield Upstream(*ways(address, address, stack, data), refuse)


# --- the scripts --------------------------------------------------------------------------------


def seen(script: str, run: Run) -> dict[str, Any]:
    """What ``script`` printed, a step each."""
    told = json.dumps(asdict(run))
    if script.endswith(".mjs"):
        command = ["node", str(installed(SDKS) / script), told]
    else:
        command = [sys.executable, "-m", f"tests.e2e.sdks.{script.removesuffix('.py')}", told]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(_TO_SDKS)},
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    lines = [normal(line) for line in done.stdout.split("\n") if line]
    return {line.pop("step"): line for line in lines}


def raised(steps: dict[str, Any]) -> set[str]:
    """The steps that ended with an exception."""
    return {step for step, saw in steps.items() if "raised" in saw}


def assert_same(script: str, direct: Any, relayed: Any) -> None:
    found = list(differences(direct, relayed, script))
    assert not found, "\n".join(found[:20])


# llama.cpp heeds a schema in chats only, and what an SDK makes of the rest is the same, too.
LLAMA_CANNOT = {
    "with_openai.py": {"structured_response"},
    "with_openai.mjs": {"structured_response"},
    "with_anthropic.py": {"structured"},
    "with_ai_sdk.mjs": {"structured (response)", "structured (message)"},
    "with_langchain.py": {"structured_of_a_response"},
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_sdk_sees_of_llama_through_tailrace_what_it_sees_without(
    llama: Upstream, script: str
) -> None:
    llama.refuse()
    direct = seen(script, llama.direct)
    llama.refuse()
    assert_same(script, direct, seen(script, llama.relayed))
    assert raised(direct) == LLAMA_CANNOT[script]
    assert "weather" in json.dumps(direct).lower()


# llmock has no completions, and does not heed a schema that Anthropic's SDK sends.
MOCK_CANNOT = {
    "with_openai.py": {"streaming_a_completion"},
    "with_anthropic.py": {"structured"},
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_sdk_sees_of_a_mock_through_tailrace_what_it_sees_without(
    mock: Upstream, llmock: Llmock, script: str
) -> None:
    mock.refuse()
    direct, asked = seen(script, mock.direct), requests(llmock)
    mock.refuse()
    assert_same(script, direct, seen(script, mock.relayed))
    # So does the upstream: nothing is asked twice, and who leaves an answer ends it.
    assert_same(script, asked, requests(llmock))
    assert raised(direct) == MOCK_CANNOT.get(script, set())
    refused = [each["status"] for each in asked if each["model"] in REFUSED]
    assert refused == [503, 200] * (len(refused) // 2) != []
    left = [each["completed"] for each in asked if each["model"] == "endless"]
    assert left == [False] * len(left) != []


def requests(llmock: Llmock) -> list[dict[str, Any]]:
    """What llmock was asked, and how each answer fared; but for the question for the usage."""
    said = []
    for each in llmock.requests():
        body = {k: v for k, v in each["body"].items() if k != "stream_options"}
        said.append({name: each[name] for name in _NOTED} | {"body": body})
    return said


_NOTED = ("method", "path", "model", "status", "completed")
