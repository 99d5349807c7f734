"""Builds and runs the Go program beside this file.

with running_article(upstream.base_url) as url:
    httpx.get(f"{url}/stream", params={"content": "Hi"})
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

_SOURCE = Path(__file__).parent
_FILES = ("go.mod", "main.go")
# Where installers put Go without telling PATH.
_USUAL_PLACES = ("/usr/local/go/bin", "/usr/lib/go/bin", "/opt/homebrew/bin", "/snap/bin")
# A first build compiles net/http and all that it needs: half a minute on one slow core.
_BUILD_SECONDS = 300.0
_STOP_SECONDS = 10.0


def article_or_skip() -> Path:
    """The built program; skips the test where there is no Go, and fails it there in CI."""
    if find_go() is None and not os.environ.get("CI"):
        pytest.skip(
            "no Go toolchain: install Go 1.19 or later to compare with the article's server"
        )
    return build_article()


@contextlib.contextmanager
def running_article(upstream_base_url: str, token: str = "article-token") -> Iterator[str]:
    """The program, relaying that upstream; gives its URL without a slash at the end."""
    environment = _without_proxies() | {"ARTICLE_TOKEN": token}
    command = [str(article_or_skip()), "-upstream", upstream_base_url]
    # It logs "superfluous WriteHeader" where the tutorial's program would, too: not our concern.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            url = program.stdout.readline().strip()
            assert url, f"the article's server ended at once with {program.wait(_STOP_SECONDS)}"
            yield url
        finally:
            program.kill()
            program.wait(_STOP_SECONDS)


def find_go() -> str | None:
    """Where the Go command is, in PATH or where it usually lands."""
    return shutil.which("go") or shutil.which("go", path=os.pathsep.join(_USUAL_PLACES))


@cache
def build_article() -> Path:
    """Build the program, once for each version of its source; gives the binary."""
    go = find_go()
    assert go is not None, "the Go toolchain is missing, and CI has to have it"
    sources = b"".join((_SOURCE / name).read_bytes() for name in _FILES)
    home = Path(tempfile.gettempdir()) / f"tailrace-article-{_user()}"
    home.mkdir(mode=0o700, exist_ok=True)
    binary = home / f"article-{hashlib.sha256(sources).hexdigest()[:16]}{_suffix()}"
    # Several test processes may come here at once: one builds, the others find it done.
    with FileLock(home / "build.lock", timeout=_BUILD_SECONDS):
        if not binary.exists():
            _build(go, binary, home)
    return binary


def _build(go: str, binary: Path, home: Path) -> None:
    partial = binary.with_name(f"partial-{binary.name}")
    subprocess.run(
        [go, "build", "-o", str(partial), "."],
        cwd=_SOURCE,
        check=True,
        timeout=_BUILD_SECONDS,
        # No network, no toolchain of its own choice, nothing written outside of `home`.
        env=os.environ
        | {
            "GOFLAGS": "-mod=mod",
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
            "GOCACHE": str(home / "cache"),
            "GOPATH": str(home / "path"),
            "CGO_ENABLED": "0",
        },
    )
    partial.replace(binary)


def _without_proxies() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _suffix() -> str:
    return ".exe" if os.name == "nt" else ""
