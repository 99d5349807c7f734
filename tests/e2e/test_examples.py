"""The clients in examples/, run as their first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conformance.node import installed
from tests.e2e.harness import serving

EXAMPLES = Path(__file__).parents[2] / "examples"
_SECONDS = 60
_STEPS = "".join(f"{step} of 5\n" for step in range(1, 6))


def run(data: Path, command: list[str], cwd: Path) -> str:
    with serving("http://127.0.0.1:9/v1", data) as server:
        done = subprocess.run(
            [*command, f"{server.url}/streams/steps"],
            cwd=cwd,
            env=os.environ,
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_the_python_client_appends_and_reads(tmp_path: Path) -> None:
    assert run(tmp_path, [sys.executable, str(EXAMPLES / "follow.py")], EXAMPLES) == _STEPS


def test_the_typescript_client_appends_once_and_follows_to_the_end(tmp_path: Path) -> None:
    folder = installed()
    # Beside the packages that it imports.
    example = folder / "node_modules" / "follow.mts"
    example.write_text((EXAMPLES / "follow.ts").read_text())
    assert run(tmp_path, ["npx", "--no-install", "tsx", str(example)], folder) == _STEPS
