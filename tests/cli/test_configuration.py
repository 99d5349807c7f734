"""The file of settings: what is read of it, and what is refused in one line."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Any

import pytest

from tailrace.cli import configuration
from tailrace.errors import ConfigError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def refused(file: str) -> str:
    with pytest.raises(ConfigError) as refusal:
        configuration.read({"config": file}, {})
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_mark_that_says_utf8_is_no_part_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_bytes(b"\xef\xbb\xbfport = 1234\n")
    assert configuration.read({"config": str(file)}, {}).settings.port == 1234


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"port = " + b"[" * 5000, "too deep"),
        (b"port = " + b"9" * 50_000, "beyond all bounds"),
        (b"port = 2026-02-31", "not valid TOML"),
        (b"\xff\xfep\x00", "not UTF-8"),
        (b"# " * (1 << 20), "larger than 1 MiB"),
    ],
    ids=["deep", "digits", "date", "utf-16", "huge"],
)
def test_what_no_parser_takes_is_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_bytes(content)
    line = refused(str(file))
    assert reason in line
    assert str(file) in line


@POSIX
def test_a_file_without_end_is_not_read_to_its_end() -> None:
    assert "larger than 1 MiB" in refused("/dev/zero")


def test_a_path_that_no_file_can_have_is_one_line() -> None:
    assert "null byte" in refused("a\0b")
    assert "Cannot read the configuration" in refused("x" * 5000)


@POSIX
def test_a_configuration_may_come_from_a_pipe() -> None:
    """As a shell's ``--config <(…)``."""
    reading, writing = os.pipe()
    os.write(writing, b"port = 1234")
    os.close(writing)
    loaded = configuration.read({"config": f"/dev/fd/{reading}"}, {})
    os.close(reading)
    assert loaded.settings.port == 1234


@POSIX
def test_a_pipe_into_which_nobody_writes_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    waited: list[float] = []
    real = select.select

    def impatient(reading: Any, writing: Any, urgent: Any, seconds: float) -> Any:
        waited.append(seconds)
        return real(reading, writing, urgent, 0)

    monkeypatch.setattr(select, "select", impatient)
    assert "Nobody writes" in refused(str(pipe))
    assert waited == [10.0]
