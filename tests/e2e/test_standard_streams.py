"""Standard streams that are closed, full or read by nobody: the server works, and can be ended."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import WITHIN, wait_for
from tests.e2e.test_listening import client, wait_until_refused

if sys.platform == "win32":
    pytest.skip("POSIX descriptors and signals", allow_module_level=True)

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
# What a shell does with the streams of the command that follows.
WAYS = [
    *("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"),
    *(pytest.param(way, marks=needs_full) for way in ("1>/dev/full", "1>/dev/full 2>/dev/full")),
]


class Quiet:
    """A server of whose output nothing is known. It listens on a Unix socket."""

    def __init__(self, directory: Path, streams: str, stdout: int, stderr: int) -> None:
        self.path = directory / "t.sock"
        self.data = directory / "data"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TAILRACE_", "OPENAI_"))}
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [
                *("sh", "-c", f'exec "$@" {streams}', "sh"),
                *(sys.executable, "-m", "tailrace", "serve", "--uds", str(self.path)),
                *("--data", str(self.data), "--upstream", "http://127.0.0.1:1/v1"),
            ],
            env=clean,
            stdout=stdout,
            stderr=stderr,
        )

    def ready(self) -> httpx.Client:
        wait_for(lambda: self.path.exists() or self.process.poll() is not None)
        assert self.process.poll() is None
        return client(self.path)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ends(self) -> int:
        return self.process.wait(WITHIN)


@contextmanager
def quiet(streams: str, stdout: int, stderr: int) -> Iterator[Quiet]:
    with tempfile.TemporaryDirectory(prefix="tr") as directory:
        server = Quiet(Path(directory), streams, stdout, stderr)
        try:
            yield server
        finally:
            server.process.kill()
            server.process.wait(WITHIN)


def closed(streams: str) -> list[int]:
    """The descriptors that were closed, where the system shows what they are now."""
    each = [int(number) for number in re.findall(r"(\d)[<>]&-", streams)]
    return each if sys.platform == "linux" else []


def file_of(server: Quiet, number: int) -> str:
    return str(Path(f"/proc/{server.process.pid}/fd/{number}").readlink())


def make_and_read(http: httpx.Client, name: str) -> None:
    made = http.put(f"/streams/{name}", headers={"content-type": "text/plain"}, content=b"kept")
    assert made.status_code == 201
    assert http.get(f"/streams/{name}").text == "kept"


@pytest.mark.parametrize("streams", WAYS)
def test_a_server_without_its_standard_streams_works_and_a_signal_ends_it_with_0(
    streams: str,
) -> None:
    with quiet(streams, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        with server.ready() as http:
            make_and_read(http, "a")
            for number in closed(streams):
                # Else the next file has it: the store, into which somebody then prints.
                assert file_of(server, number) == "/dev/null"
            server.signal(signal.SIGTERM)
            assert server.ends() == 0
        assert not server.path.exists()
        # Nothing that was meant for a person stands in the store.
        store = sqlite3.connect(server.data / "tailrace.db")
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        store.close()


@pytest.mark.parametrize("streams", ["2>&-", "0<&- 1>&- 2>&-", WAYS[-1]])
def test_without_its_standard_streams_a_second_signal_aborts_a_server_all_the_same(
    streams: str,
) -> None:
    with quiet(streams, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        server.ready().close()
        with socket.socket(socket.AF_UNIX) as upload:
            upload.settimeout(WITHIN)
            upload.connect(str(server.path))
            upload.sendall(
                b"PUT /streams/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
                b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"
            )
            assert upload.recv(100).startswith(b"HTTP/1.1 100")  # so the request is running
            server.signal(signal.SIGTERM)
            wait_until_refused(server.path)
            server.signal(signal.SIGTERM)
            assert server.ends() == 128 + signal.SIGTERM


def test_a_reader_of_the_log_that_went_away_ends_nothing() -> None:
    reading, writing = os.pipe()
    with quiet("", stdout=writing, stderr=writing) as server:
        os.close(writing)
        with server.ready() as http:
            os.close(reading)
            make_and_read(http, "a")
            server.signal(signal.SIGTERM)
            assert server.ends() == 0


def test_a_reader_of_the_log_that_stopped_stops_nothing() -> None:
    """A pager, a terminal after Ctrl-S: the pipe is full, and a write would wait for ever."""
    reading, writing = os.pipe()
    with quiet("", stdout=writing, stderr=writing) as server:
        with server.ready() as http:
            os.set_blocking(writing, False)
            with pytest.raises(BlockingIOError):
                while True:
                    os.write(writing, b"x" * 512)
            os.set_blocking(writing, True)  # the flag is the server's, too
            make_and_read(http, "a")
            server.signal(signal.SIGTERM)
            assert server.ends() == 0
        os.close(writing)
        os.close(reading)


@needs_full
def test_a_mistake_has_its_exit_code_where_nobody_can_be_told() -> None:
    for streams in ("2>/dev/full", "1>&- 2>&-"):
        command = f'exec "$@" {streams}'
        done = subprocess.run(
            ["sh", "-c", command, "sh", sys.executable, "-m", "tailrace", "serve", "--port", "x"],
            stdout=subprocess.PIPE,
            timeout=WITHIN,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, b"")
