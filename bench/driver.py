"""The compiled load generator, told what to do over its standard input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
CACHE: Final = HERE / ".cache"
# A run is some tens of seconds; one that hangs is a finding, not a reason to wait for ever.
_PATIENCE: Final = 300.0


class LoadFailed(Exception):
    """A run in which not everything arrived, or arrived once, or a peer refused."""


def build(folder: Path, target: Path) -> Path:
    """Compile a Go program without the network. Raises CalledProcessError."""
    if not target.exists() or target.stat().st_mtime < _newest(folder):
        command = ["go", "build", "-o", str(target), "."]
        environ = {**os.environ, "GOFLAGS": "-mod=mod", "GOPROXY": "off"}
        subprocess.run(command, cwd=folder, env=environ, check=True)
    return target


def _newest(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.iterdir())


class Load:
    """One running load generator, which is the upstream too."""

    def __init__(self, program: Path, core: int | None) -> None:
        command = [str(program)]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        # As many threads as it has cores: more would only wait for each other.
        environ = {**os.environ, "GOMAXPROCS": "1" if core is not None else ""}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )
        self.upstream: str = self._read()["upstream"]
        """``host:port`` of the scripted model server."""

    def run(self, do: str, **fields: Any) -> dict[str, Any]:
        """Have something done; its figures. Raises LoadFailed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
        self._process.stdin.flush()
        result = self._read()
        if "error" in result:
            raise LoadFailed(f"{do}: {result['error']}")
        return result

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed("The load generator has ended.")
        result: dict[str, Any] = json.loads(line)
        return result

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(_PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass(frozen=True)
class Bench:
    """What measuring needs: the load, the server's core, and what was compiled or installed."""

    load: Load
    core: int | None
    cache: Path


@contextmanager
def ready() -> Iterator[Bench]:
    """The load, compiled and running."""
    # Servers have sessions of their own: they end with us only where we end in good order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    CACHE.mkdir(exist_ok=True)
    load_core, server_core = cores()
    load = Load(build(HERE / "load", CACHE / "load"), load_core)
    try:
        yield Bench(load, server_core, CACHE)
    finally:
        load.close()


def cores() -> tuple[int | None, int | None]:
    """One core for the load and another for the server; none where there is only one."""
    available: Sequence[int] = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)
