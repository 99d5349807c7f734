"""The Durable Streams protocol's own test suite, against `tailrace serve`.

    make conformance

Every test passes but those of the subscriptions, which are opt-in and not served here. Their
number is stated, so that a suite which finds no tests is not taken for one that passes them.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conformance.node import installed
from tests.e2e.harness import serving

# Of 0.3.6, which package-lock.json pins.
TESTS = 332
_SECONDS = 300
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NO_UPSTREAM = "http://127.0.0.1:9/v1"
# The suite asks as a page of another origin would, and does not wait long for a long-poll.
SERVER = {"TAILRACE_CORS_ORIGINS": "*", "TAILRACE_LONG_POLL_TIMEOUT": "0.5"}


@pytest.mark.timeout(_SECONDS + 240)
@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_the_protocols_own_suite_finds_nothing_wrong(store: str, tmp_path: Path) -> None:
    folder = installed()
    flags = ("--store", "memory:") if store == "memory" else ()
    with serving(_NO_UPSTREAM, tmp_path, *flags, env=SERVER) as server:
        done = subprocess.run(
            ["npx", "--no-install", "vitest", "run"],
            check=False,
            cwd=folder,
            env={**os.environ, "TAILRACE_URL": server.url},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    report = _COLOUR.sub("", done.stdout + done.stderr)
    print(report[-20_000:])
    assert done.returncode == 0, "\n".join(re.findall(r"FAIL .*", report))
    counts = re.search(r"Tests +(\d+) passed \| (\d+) skipped", report)
    assert counts, report[-2000:]
    assert int(counts[1]) == TESTS
