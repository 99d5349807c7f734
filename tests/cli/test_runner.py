"""Shutting down, seen from outside: a real process, real sockets, real signals."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("streaming_server.py")
# Deadlines of tests are generous: they only bound a hang.
PATIENCE = 30

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@contextmanager
def running(manner: str, shutdown_timeout: float, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROGRAM), manner, str(shutdown_timeout), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def open_stream(port: int) -> socket.socket:
    """A client that has received the stream's first bytes and waits for more."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    received = b""
    while b"first\n" not in received:
        chunk = client.recv(4096)
        assert chunk, received
        received += chunk
    return client


def read_to_end(client: socket.socket) -> bytes:
    """What still comes; empty also where the connection was reset."""
    received = b""
    try:
        while chunk := client.recv(4096):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def output_of(process: subprocess.Popen[str]) -> list[str]:
    output, _ = process.communicate(timeout=PATIENCE)
    return output.split("\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_the_application_before_it_waits_for_connections(
    number: signal.Signals,
) -> None:
    with running("obedient", PATIENCE) as process, open_stream(port_of(process)) as client:
        process.send_signal(number)
        rest = read_to_end(client)
        assert rest.endswith(b"farewell\n\r\n0\r\n\r\n")
        assert output_of(process) == ["draining", "request over", "flushed", ""]
        assert process.returncode == 0


def test_what_does_not_end_is_aborted_at_the_deadline_and_the_exit_code_is_still_0() -> None:
    with running("stubborn", 0.1) as process, open_stream(port_of(process)) as client:
        process.send_signal(signal.SIGTERM)
        assert read_to_end(client) == b""
        assert output_of(process) == ["draining", "request over", "flushed", ""]
        assert process.returncode == 0


def test_an_idle_kept_alive_connection_does_not_delay_the_shutdown() -> None:
    with running("obedient", PATIENCE) as process:
        with socket.create_connection(("127.0.0.1", port_of(process)), PATIENCE) as client:
            # One request without an answer yet would be a running one; this sends none.
            process.send_signal(signal.SIGTERM)
            assert read_to_end(client) == b""
        assert output_of(process)[-2:] == ["flushed", ""]
        assert process.returncode == 0


def test_a_second_signal_exits_at_once_with_the_signals_code() -> None:
    with running("stubborn", PATIENCE) as process, open_stream(port_of(process)) as client:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "draining\n"
        process.send_signal(signal.SIGINT)
        assert read_to_end(client) == b""
        assert output_of(process) == [""]
        assert process.returncode == 128 + signal.SIGINT


def test_nobody_can_connect_any_more_while_streams_are_drained() -> None:
    with running("stubborn", PATIENCE) as process:
        port = port_of(process)
        with open_stream(port):
            process.send_signal(signal.SIGTERM)
            assert process.stdout is not None
            assert process.stdout.readline() == "draining\n"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def test_under_uvicorns_own_protocol_too_an_idle_connection_is_closed_after_keepalive_timeout() -> (
    None
):
    with running("obedient", PATIENCE, "0.05") as process:
        address = ("127.0.0.1", port_of(process))
        with socket.create_connection(address, timeout=PATIENCE) as client:
            client.sendall(b"GET /short HTTP/1.1\r\nhost: x\r\n\r\n")
            assert read_to_end(client).endswith(b"short\n\r\n0\r\n\r\n")
        process.send_signal(signal.SIGTERM)
        assert output_of(process)[-2:] == ["flushed", ""]
