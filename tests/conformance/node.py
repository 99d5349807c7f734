"""Node packages beside the tests, pinned by the package-lock.json of their folder.

In this folder they are the protocol's suite and client.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

HERE = Path(__file__).parent
# What vitest 4 runs on.
OLDEST = 20
_INSTALL_SECONDS = 240.0


def installed(folder: Path = HERE) -> Path:
    """The folder with node_modules in it; installs them once. Skips where there is no Node."""
    npm = shutil.which("npm")
    if npm is None or _node_version() < OLDEST:
        _missing(f"no Node.js {OLDEST}: install that or later, with npm, for these tests")
    assert npm is not None
    stamp = folder / "node_modules" / ".installed"
    lock = (folder / "package-lock.json").read_text()
    with FileLock(folder / ".install.lock"):
        if not stamp.exists() or stamp.read_text() != lock:
            command = [npm, "ci", "--prefix", str(folder), "--ignore-scripts"]
            command += ["--no-audit", "--no-fund"]
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=_INSTALL_SECONDS
            )
            if done.returncode != 0:
                _missing(f"npm could not install {folder.name}'s packages: {done.stderr[-300:]}")
            stamp.write_text(lock)
    return folder


def _node_version() -> int:
    """The major one; 0 where there is no Node."""
    node = shutil.which("node")
    if node is None:
        return 0
    told = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    return int(told.strip().removeprefix("v").partition(".")[0])


def _missing(why: str) -> None:
    """Skip, but not in CI, which has what it takes."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
