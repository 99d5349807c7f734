"""Applications of others' making, under servers of others' making, as processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.harness import WITHIN, wait_for

ROOT: Final = Path(__file__).parents[2]
HOST: Final = "127.0.0.1"

COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "uvicorn": ("uvicorn", "--host", HOST, "--port", "{port}"),
    "granian": ("granian", "--interface", "asgi", "--host", HOST, "--port", "{port}"),
    # Without a worker process: see docs/embedding.md.
    "hypercorn": ("hypercorn", "--workers", "0", "--bind", HOST + ":{port}"),
}
# What bounds the wait for a client that takes no more bytes: see docs/embedding.md.
DEADLINES: Final[Mapping[str, Sequence[str]]] = {
    "uvicorn": ("--timeout-graceful-shutdown", "3"),
    "granian": ("--workers-kill-timeout", "3"),
    "hypercorn": (),  # 3 seconds unless told otherwise
}
# uvicorn raises the signal once more when all is done.
EXIT_CODES: Final = {"uvicorn": -signal.SIGTERM, "granian": 0, "hypercorn": 0}


class AppServer:
    """One server process, with ``app`` (``module:name``) in it."""

    def __init__(
        self, server: str, app: str, env: Mapping[str, str], flags: Sequence[str] = ()
    ) -> None:
        self.host, self.port = HOST, _free_port()
        command = [word.format(port=self.port) for word in COMMANDS[server]]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command, *flags, app],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # so that worker processes can be ended, too
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        )
        wait_for(lambda: self._accepts() or self.process.poll() is not None)
        assert self.process.poll() is None, "the server did not start"

    def _accepts(self) -> bool:
        try:
            socket.create_connection((self.host, self.port)).close()
        except OSError:
            return False
        return True

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WITHIN)

    def end(self) -> None:
        """SIGTERM, and SIGKILL for all of them where that is not enough."""
        try:
            self.terminate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(server: str, app: str, flags: Sequence[str] = (), **env: str) -> Iterator[AppServer]:
    """A server, ended afterwards."""
    process = AppServer(server, app, env, flags)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.end()
