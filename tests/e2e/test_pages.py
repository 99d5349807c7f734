"""The commands in the docs, run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import WITHIN, Server, serving

DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str) -> list[str]:
    """What stands behind a ``$`` in the page's console blocks, but for starting servers."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not line.startswith(("tailrace ", "make "))]


def run(server: Server, lines: list[str]) -> list[str]:
    """What each command prints. One shell for all: later ones use what earlier ones set."""
    mine = [line.replace("http://127.0.0.1:8080", server.url) for line in lines]
    script = "set -e\n" + "\n".join(
        f"printf '\\n--- {n}\\n'\n{line}" for n, line in enumerate(mine)
    )
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=WITHIN, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = re.split(r"\n--- \d+\n", done.stdout)[1:]
    assert len(outputs) == len(lines)
    for line, output in zip(lines, outputs, strict=True):
        assert output.strip() or line.startswith("LINK="), line
        assert '"status":' not in output, (line, output)
    return outputs


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the commands are curl's")


@needs_curl
def test_every_command_of_the_quickstart_works(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        lines = commands("quickstart.md")
        assert len(lines) >= 10
        outputs = run(server, lines)
    assert outputs[-2].strip() == outputs[-1].strip() == "204"
    assert outputs[0] == outputs[1] == outputs[2]


@needs_curl
def test_every_command_of_the_page_on_views_works(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        link = next(line for line in commands("quickstart.md") if line.startswith("LINK="))
        text, lines = run(server, [link, *commands("views.md")])[1:]
    assert text.strip()
    assert '"ending":"completed"' in lines


@needs_curl
def test_every_command_of_the_page_on_streams_works(tmp_path: Path) -> None:
    with serving("http://127.0.0.1:9/v1", tmp_path) as server:
        outputs = run(server, commands("streams.md"))
    statuses = [int(match[1]) for o in outputs if (match := re.match(r"HTTP/1.1 (\d+)", o.strip()))]
    assert statuses == [201, 204, 204, 200, 200, 204, 201, 204, 200, 204, 201, 204]
    assert "first second" in outputs[3]
    assert '{"ending": "completed", "reason": ""}' in outputs[7]
    assert outputs[10].strip() == '[{"step":1},{"step":2.0}]'
