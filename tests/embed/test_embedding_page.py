"""The programs of docs/embedding.md, run, and its commands, compared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import WITHIN
from tests.embed.servers import COMMANDS, DEADLINES, ROOT

PAGE = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_programs_on_the_page_run(tmp_path: Path) -> None:
    assert len(PROGRAMS) == 3
    outputs = []
    for code in PROGRAMS:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout)
    assert outputs[0].endswith("_0000000000000002 {'step': 2}\n")
    assert "cancelled Enough." in outputs[1]
    assert "['of another type']" in outputs[1]


def test_the_servers_are_started_on_the_page_as_the_tests_start_them() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("$ ")]
    for server, line in zip(COMMANDS, lines, strict=True):
        assert line.startswith(f"$ {server} ")
        ours = " ".join([*COMMANDS[server], *DEADLINES[server]])
        for option in re.findall(r"(?:--workers\S*|--timeout\S*|--interface) \S+", line):
            assert option in ours
