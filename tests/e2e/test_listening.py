"""Where a server listens, as its clients find it: Unix sockets, inherited ones, two families."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import WITHIN, Server

if sys.platform == "win32":
    pytest.skip("Unix sockets and descriptors", allow_module_level=True)

NOWHERE = ("--upstream", "http://127.0.0.1:1/v1", "--model", "test-model", "--store", "memory:")


@pytest.fixture
def path() -> Iterator[Path]:
    """A name that fits into a socket's address, however deep the tests' own directory is."""
    with tempfile.TemporaryDirectory(prefix="tr") as directory:
        yield Path(directory, "tailrace.sock")


@contextmanager
def listening(*flags: str, pass_fds: tuple[int, ...] = ()) -> Iterator[Server]:
    server = Server(*flags, pass_fds=pass_fds)
    try:
        yield server
    finally:
        if server._process.returncode is None:
            server.kill()


def client(path: Path) -> httpx.Client:
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=WITHIN
    )


def test_an_answer_is_streamed_over_a_unix_socket_that_only_its_owner_may_use(path: Path) -> None:
    with (
        ThreadedUpstream() as upstream,
        listening("--uds", str(path), "--upstream", upstream.base_url, *NOWHERE[2:]) as server,
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert server.url == f"unix:{path}"
        assert f"curl --unix-socket {path} -N 'http://localhost/stream?content=" in server.output
        with client(path) as http:
            answer = http.get("/stream", params={"content": "Hi"})
            assert answer.status_code == 200
            link = answer.headers["content-location"]
            assert http.get(link, params={"view": "text"}).text == answer.text != ""
        assert server.terminate() == 0
        assert "GET /stream 200" in server.output
        assert not path.exists()


def test_on_a_unix_socket_the_host_is_judged_as_on_any_other(path: Path) -> None:
    """A proxy before it can be reached by a browser, and hands its Host on."""
    with (
        listening(
            *("--uds", str(path), "--uds-mode", "0660", "--allowed-hosts", "chat.example.org"),
            *NOWHERE,
        ),
        client(path) as http,
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        statuses = {
            host: http.get("/health", headers={"host": host}).status_code
            for host in ("localhost", "127.0.0.1:8080", "chat.example.org", "evil.example")
        }
    assert statuses == {
        "localhost": 200,
        "127.0.0.1:8080": 200,
        "chat.example.org": 200,
        "evil.example": 421,
    }


def test_a_server_that_was_killed_leaves_a_unix_socket_that_the_next_one_replaces(
    path: Path,
) -> None:
    with listening("--uds", str(path), *NOWHERE) as server:
        server.kill()
    assert path.is_socket()
    with listening("--uds", str(path), *NOWHERE), client(path) as http:
        assert http.get("/health").status_code == 200
        second = run("--uds", str(path), *NOWHERE)
        assert (second.returncode, second.stderr.count("\n")) == (1, 1)
        assert str(path) in second.stderr
        assert http.get("/health").status_code == 200


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_a_server_listens_on_the_descriptor_that_it_was_started_with(
    path: Path, family: str
) -> None:
    with socket.socket(socket.AF_INET if family == "tcp" else socket.AF_UNIX) as opened:
        opened.bind(("127.0.0.1", 0) if family == "tcp" else str(path))
        opened.listen()
        descriptor = opened.fileno()
        with listening("--fd", str(descriptor), *NOWHERE, pass_fds=(descriptor,)) as server:
            if family == "tcp":
                assert server.port == opened.getsockname()[1]
                assert httpx.get(f"{server.url}/health").status_code == 200
            else:
                with client(path) as http:
                    assert http.get("/health").status_code == 200
            assert server.terminate() == 0
        # Whoever opened it starts the next one on it: nothing that came meanwhile is lost.
        assert opened.getsockname()
        assert family == "tcp" or path.is_socket()


def test_a_descriptor_that_others_can_reach_needs_a_token_as_a_host_does() -> None:
    with socket.create_server(("0.0.0.0", 0)) as opened:
        descriptor = opened.fileno()
        result = run("--fd", str(descriptor), *NOWHERE, pass_fds=(descriptor,))
    assert result.returncode == 2
    assert "TAILRACE_TOKEN" in result.stderr


def test_localhost_answers_on_both_families() -> None:
    if not socket.has_ipv6:
        pytest.skip("Python without IPv6")
    with listening("--host", "localhost", *NOWHERE) as server:
        for host in ("127.0.0.1", "[::1]", "localhost"):
            assert httpx.get(f"http://{host}:{server.port}/health").status_code == 200
        assert server.terminate() == 0


def run(*flags: str, pass_fds: tuple[int, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A server that is to refuse to start."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TAILRACE_", "OPENAI_"))}
    return subprocess.run(
        [sys.executable, "-m", "tailrace", "serve", *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean,
        pass_fds=pass_fds,
        timeout=WITHIN,
        check=False,
    )


def test_a_unix_socket_and_a_descriptor_are_alternatives(path: Path) -> None:
    result = run("--uds", str(path), "--fd", "3", *NOWHERE)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert not path.exists()


def wait_until_refused(path: Path) -> None:
    """Until the server has begun to shut down: then it accepts nobody."""
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)):
                return
