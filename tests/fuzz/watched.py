"""A server under fuzz: of its output only what is out of the ordinary is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.e2e.harness import Server, fetch
from tests.fuzz.campaign import Finding

# The access log's lines, and nothing else, begin with a time.
_ORDINARY: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z ")
_HEAD_LINES: Final = 10
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class WatchedServer(Server):
    """``canary``: what must not be in the output."""

    def __init__(self, canary: str, *flags: str, env: Mapping[str, str] | None = None) -> None:
        self._canary = canary
        self._told = 0
        super().__init__(*flags, env=env)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if self._canary in line:
                self._lines.append(f"the canary is in: {line}")
            elif not _ORDINARY.match(line) and len(self._lines) < 10_000:
                self._lines.append(line)

    def assert_well(self) -> None:
        """Raise Finding where the process ended, or printed what it should not."""
        lines, self._told = self._lines[self._told :], len(self._lines)
        text = "".join(lines)
        if self._process.poll() is not None:
            raise Finding("the server ended", f"{self._process.returncode}: {text[-3000:]}")
        if "Traceback" in text or "Error" in text:
            raise Finding("a traceback in the log", text[-3000:])
        if "the canary is in" in text:
            raise Finding("the key is in the log", text[-500:])

    def assert_answers(self) -> None:
        """Raise Finding where the server has no answer for /health."""
        try:
            answer = fetch(self, "/health")
        except (OSError, EOFError) as error:
            raise Finding("the server does not answer", repr(error)) from error
        if answer.data != b'{"status": "ok"}':
            raise Finding("the server is not well", repr(answer.data))

    def cpu(self) -> float:
        """Seconds of CPU that the process has used; 0 where the system does not tell."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def descriptors(self) -> int:
        """Open descriptors of the process; 0 where the system does not tell."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - only their number
        except OSError:
            return 0

    def resident(self) -> int:
        """Bytes of resident memory; 0 where the system does not tell."""
        return self.memory() if Path(f"/proc/{self.pid}/status").exists() else 0
