"""The programs in docs/sdks.md, run: they print what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conformance.node import installed
from tests.e2e.harness import Server, serving
from tests.upstreams.llmock_server import llmock_server

_PAGE = Path(__file__).parents[2] / "docs" / "sdks.md"
_SDKS = Path(__file__).parent / "sdks"
_BLOCK = re.compile(r"^```(python|js)\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Program(NamedTuple):
    """A block of code, and what the page says that it prints."""

    language: str
    code: str
    output: str


PROGRAMS = [Program(*found) for found in _BLOCK.findall(_PAGE.read_text(encoding="utf-8"))]


class Servers(NamedTuple):
    """The mock has the two APIs at two base URLs, so there are two servers."""

    openai: Server
    anthropic: Server


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    data = tmp_path_factory.mktemp("page")
    with (
        llmock_server() as llmock,
        serving(llmock.base_url, data / "openai") as openai,
        serving(f"{llmock.url}/anthropic/v1", data / "anthropic") as anthropic,
    ):
        yield Servers(openai, anthropic)


def test_every_program_on_the_page_is_one_that_is_run() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    assert len(PROGRAMS) == len(re.findall(r"^```(?:python|js)$", page, re.MULTILINE)) >= 8


def test_the_versions_on_the_page_are_those_that_are_installed() -> None:
    rows = dict(
        re.findall(
            r"^\| `([\w@/-]+)`(?: \(npm\)| \|).*?(\d+\.\d+\.\d+)",
            _PAGE.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    pinned = json.loads((_SDKS / "package.json").read_text())["dependencies"]
    assert rows == {name: version for name, version in pinned.items() if name != "zod"}


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_on_the_page_prints_what_it_says(servers: Servers, number: int) -> None:
    language, code, output = PROGRAMS[number]
    server = servers.anthropic if "anthropic" in code else servers.openai
    assert "http://127.0.0.1:8080" in code
    code = code.replace("http://127.0.0.1:8080", server.url)
    if language == "python":
        command, folder = [sys.executable, "-c", code], _SDKS
    else:
        command, folder = ["node", "--input-type=module", "-e", code], installed(_SDKS)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.stdout.strip(), done.returncode) == (output.strip(), 0), done.stderr
