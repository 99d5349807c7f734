"""That an acknowledgement follows the sync that covers it, as the system calls tell.

SIGKILL spares the page cache, so a crash test cannot show this. Here strace watches the server:
between what an append writes into the store's log and the answer that acknowledges it there has
to be an fdatasync (or fsync) that has returned.
"""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import Server, serving, wait_for

APPENDS = 40
_CALLS = "trace=pwrite64,fdatasync,fsync,write,writev,sendmsg,sendto"
_STORED = re.compile(r"pwrite64\(")
_SYNCED = re.compile(r"(?:fdatasync|fsync)(?:\([^<]*\)| resumed>.*\)) += 0")
_ACKNOWLEDGED = re.compile(r'"HTTP/1\.1 (?:204|201)')


@contextmanager
def traced(server: Server, trace: Path) -> Iterator[None]:
    """What the server asks of the system, from now on."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("no strace: install Debian's strace to see what is synced")
    command = [program, "-f", "-s", "20", "-e", _CALLS, "-o", str(trace), "-p", str(server.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if "attached" not in line:
            pytest.skip(f"strace may not attach to a process here: {line.strip()}")
        try:
            yield
        finally:
            tracer.terminate()


def test_each_acknowledged_append_was_synced_before_its_answer_was_sent(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with serving("http://127.0.0.1:9/v1", tmp_path / "data") as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        with traced(server, trace):
            fields = {"Content-Type": "text/plain"}
            for number in range(APPENDS):
                method = "PUT" if number == 0 else "POST"
                connection.request(method, "/streams/synced", b"%d\n" % number, fields)
                answer = connection.getresponse()
                answer.read()
                assert answer.status in (201, 204)
            wait_for(lambda: len(_ACKNOWLEDGED.findall(trace.read_text())) >= APPENDS)
        connection.close()
    acknowledged = syncs = 0
    covered = False
    for line in trace.read_text().splitlines():
        if _STORED.search(line):
            covered = False
        elif _SYNCED.search(line):
            covered = True
            syncs += 1
        elif _ACKNOWLEDGED.search(line):
            assert covered, f"acknowledgement {acknowledged} before its sync"
            acknowledged += 1
            covered = False
    assert (acknowledged, syncs >= APPENDS) == (APPENDS, True)
