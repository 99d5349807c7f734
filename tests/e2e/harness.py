"""`tailrace serve` as its users run it: a process, its output, and clients over real sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

# Long enough for a slow machine; nothing waits that long where all is well.
WITHIN = 30.0
# The settings of whoever runs the tests are not theirs, but for this one: with it set, servers
# write as they do under a foreign ASGI server, and everything has to hold all the same.
PLAIN = "TAILRACE_PLAIN_ASGI"
OURS = ("TAILRACE_", "OPENAI_")
# Plain ASGI has no word for "drop this client now": a send that waits for it is waited for, and a
# response is cut only by an exception, which event streams are spared (docs/embedding.md).
NEEDS_CONNECTION = pytest.mark.skipif(
    PLAIN in os.environ, reason="plain ASGI cannot drop a client that it is sending to"
)


class Address(Protocol):
    """Where a server listens, whichever it is."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class Server:
    """One server process. Its standard output and error are in ``output``."""

    def __init__(
        self,
        *flags: str,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        clean = {k: v for k, v in os.environ.items() if k == PLAIN or not k.startswith(OURS)}
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tailrace", "serve", "--port", "0", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**clean, **(env or {})},
            pass_fds=pass_fds,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            wait_for(lambda: self._listening() or self._process.poll() is not None)
            match = self._listening()
            assert match, f"the server did not start: {self.output}"
        except BaseException:
            self.kill()
            raise
        self.url = match[1]
        """``unix:PATH`` where it listens on a Unix socket; host and port are empty then."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        self.host, self.port = (host, int(port)) if port.isdigit() else ("", 0)

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(self._process.stdout)

    def _listening(self) -> re.Match[str] | None:
        return re.search(r"listens on (http://\S+|unix:\S+)", "".join(self._lines[:50]))

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    def memory(self) -> int:
        """Bytes of resident memory (Linux)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match
        return int(match[1]) * 1024

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> int:
        """SIGKILL: the server has no say in it."""
        self._process.kill()
        return self._ended()

    def _ended(self) -> int:
        code = self._process.wait(WITHIN)
        self._reader.join(WITHIN)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code


@contextmanager
def serving(
    upstream: str,
    data: Path,
    *flags: str,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server in front of ``upstream`` with its data in ``data``, ended afterwards.

    It asks once, and always: what is tested with it is what one answer of the upstream becomes,
    and scripts are counted. Trying again, and leaving alone, have tests of their own.
    """
    server = Server("--upstream", upstream, "--model", "test-model", "--data", str(data),
                    "--retry-budget", "0", "--breaker", "false", *flags, env=env)  # fmt: skip
    try:
        yield server
    finally:
        if server._process.returncode is None:
            server.kill()


def wait_for(condition: Callable[[], Any], within: float = WITHIN) -> None:
    """Return once ``condition()`` is true; fail after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Body(NamedTuple):
    """A response's body, and whether it came to its end or was cut."""

    data: bytes
    whole: bool


@dataclass
class Viewer:
    """A raw HTTP/1.1 client of one request, which reads as much as it is told to."""

    server: Address
    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    receive_buffer: int = 0
    """SO_RCVBUF, for a viewer that is to be full soon; 0: the system's own."""
    status: int = field(default=0, init=False)
    fields: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(WITHIN)
        if self.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.socket.connect((self.server.host, self.server.port))
        self._buffer = b""
        named = {name.lower() for name, _ in self.headers}
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        if "host" not in named:
            lines.append(f"Host: {self.server.host}:{self.server.port}")
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + self.body)

    def head(self) -> Viewer:
        """Read the response's head."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        for line in rest:
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()
        return self

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def chunk(self) -> bytes | None:
        """The next chunk of a chunked body; None at its proper end; EOFError where it is cut."""
        size = int(self._line().split(b";")[0], 16)
        data = self._exactly(size)
        self._line()
        return data or None

    def until(self, enough: Callable[[bytes], bool]) -> bytes:
        """Read chunks until ``enough`` is true of all that has come."""
        data = b""
        while not enough(data):
            piece = self.chunk()
            assert piece is not None, f"the body ended: {data!r}"
            data += piece
        return data

    def rest(self) -> Body:
        """All that is to come."""
        if "chunked" not in self.fields.get("transfer-encoding", ""):
            return Body(self._exactly(int(self.fields.get("content-length", "0"))), True)
        data = b""
        try:
            while (piece := self.chunk()) is not None:
                data += piece
        except (EOFError, ConnectionError):
            return Body(data, False)
        return Body(data, True)

    def buffered(self) -> bytes:
        """What has come and was not asked for yet, for who reads the socket from here on."""
        data, self._buffer = self._buffer, b""
        return data

    def leave(self) -> None:
        """Close the connection, whatever is under way."""
        self.socket.close()

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *args: object) -> None:
        self.leave()


def get(server: Address, target: str, *headers: tuple[str, str]) -> Viewer:
    """A GET whose response's head has been read."""
    return Viewer(server, "GET", target, headers).head()


def fetch(server: Address, target: str, *headers: tuple[str, str]) -> Body:
    """A whole GET."""
    with get(server, target, *headers) as viewer:
        return viewer.rest()


EVENTS = ("Accept", "text/event-stream")
"""What EventSource says of itself."""


class SseEvent(NamedTuple):
    """One event as EventSource would hand it over."""

    id: str
    type: str
    data: str


def sse_events(body: bytes) -> list[SseEvent]:
    """The whole events of ``body``; comments and a block without its blank line are none."""
    events = []
    for block in body.decode().split("\n\n")[:-1]:
        named: dict[str, list[str]] = {"id": [], "event": [], "data": []}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            named.setdefault(name, []).append(value)
        if named["data"]:
            kind = "".join(named["event"]) or "message"
            events.append(SseEvent("".join(named["id"]), kind, "\n".join(named["data"])))
    return events
