"""npm's @copilotkit/aimock as a child process; faults are written into its fixtures.

    with aimock_server(ANSWERS) as base_url: ...

A request is answered by the first fixture whose ``match.userMessage`` is in its last user
message, else with 404. On the wire, seen with version 1.43.0 (Node, chunked, an event a chunk):

=======================  ====================================================================
``truncateAfterChunks``  the socket is destroyed after that many events: FIN without the last
                         chunk, and the last event written may be lost with it. With
                         ``latency`` 0 so is everything, the head included
``disconnectAfterMs``    the same by the clock
``chaos.disconnectRate`` FIN, and not one byte
``chaos.malformedRate``  status 200, application/json, and a body that is no JSON
``chaos.dropRate``       status 500 with a JSON error
``chaos.rateLimitRate``  status 429 with ``Retry-After`` and ``x-ratelimit-*``
=======================  ====================================================================
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from .launch import launched

VERSION = "1.43.0"
TEXT = "One two three four five six. Ünïcödé 🙂 日本 seven eight nine ten."
_INSTALL_SECONDS = 180.0
_ANNOUNCEMENT = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")


def _fixture(name: str, **more: Any) -> dict[str, Any]:
    return {
        "match": {"userMessage": name},
        "response": {"content": TEXT},
        "chunkSize": 6,
        # Events have to be on the wire before a fault destroys what is not.
        "latency": 5,
        **more,
    }


ANSWERS: Sequence[dict[str, Any]] = (
    _fixture("plain"),
    _fixture("truncate", truncateAfterChunks=5),
    _fixture("disconnect", disconnectAfterMs=40, latency=15),
    _fixture("chaos-close", chaos={"disconnectRate": 1}),
    _fixture("chaos-malformed", chaos={"malformedRate": 1}),
    _fixture("chaos-drop", chaos={"dropRate": 1}),
    _fixture("chaos-limit", chaos={"rateLimitRate": 1}),
    _fixture(
        "refuse", response={"error": {"message": "no", "type": "server_error"}, "status": 503}
    ),
    _fixture("tool", response={"toolCalls": [{"name": "get", "arguments": '{"city":"Köln"}'}]}),
)
"""A fixture for each thing it can do; the prompt is the name in ``match``."""


@contextlib.contextmanager
def aimock_server(fixtures: Sequence[dict[str, Any]] = ANSWERS) -> Iterator[str]:
    """Run aimock with ``fixtures``; gives the base URL, ``/v1`` included."""
    node, program = _node(), _installed()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "fixtures.json"
        file.write_text(json.dumps({"fixtures": list(fixtures)}))
        command = [node, str(program), "-p", "0", "-f", str(file)]
        # It does not listen to its standard input: no use in waiting before the signal.
        with launched(command, _ANNOUNCEMENT, leave_seconds=1.0) as url:
            yield f"{url}/v1"


def _node() -> str:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        _missing("no Node.js: install Node 20 or later with npm to test against aimock")
    assert node is not None
    return node


@functools.cache
def _installed() -> Path:
    """The program's entry file, installed once into a cache directory of this version's own."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    home = Path(tempfile.gettempdir()) / f"tailrace-aimock-{user}"
    home.mkdir(mode=0o700, exist_ok=True)
    package = home / VERSION / "node_modules" / "@copilotkit" / "aimock"
    with FileLock(home / "install.lock", timeout=_INSTALL_SECONDS):
        if not (package / "dist" / "cli.js").exists():
            _install(home / VERSION)
    return package / "dist" / "cli.js"


def _install(prefix: Path) -> None:
    npm = shutil.which("npm")
    assert npm is not None
    command = [npm, "install", "--prefix", str(prefix), "--no-audit", "--no-fund"]
    command += ["--ignore-scripts", "--no-save", f"@copilotkit/aimock@{VERSION}"]
    prefix.mkdir(exist_ok=True)
    done = subprocess.run(
        command, check=False, timeout=_INSTALL_SECONDS, capture_output=True, text=True
    )
    if done.returncode != 0:
        _missing(f"npm could not install aimock: {done.stderr.strip()[-300:]}")


def _missing(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
