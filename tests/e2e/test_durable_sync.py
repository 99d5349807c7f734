"""That an acknowledgement follows the sync that covers it, as the system calls tell.

SIGKILL spares the page cache, so a crash test cannot show this. Here strace watches the server
while several clients append at once, each batch twice, as a client does that lost patience: to a
retry, too, the answer is an acknowledgement. Each append holds a word of its own, and each answer
names the offset of its append, so that for each one can be seen, in this order:

1. a pwrite of the page with that word has returned;
2. after that an fdatasync (or fsync) of the same file began, and returned without an error;
3. after that the write of the answer began.
"""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.harness import Server, serving, wait_for

CLIENTS, APPENDS = 4, 15
_CALLS = "trace=pwrite64,fdatasync,fsync,write,writev,sendmsg,sendto"
_LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed>)(.*)")
_ANSWER = re.compile(r"HTTP/1\.1 20[014].*?stream-next-offset: ([0-9a-z]+_\d+)")
_WORD = re.compile(r"word-(\d+-\d+)\.")
# More than a page, so that a word is seen wherever in its page it lies.
_SHOWN = "5000"


class Call(NamedTuple):
    """A system call that returned. Times are line numbers of the trace."""

    name: str
    arguments: str
    began: int
    returned: int

    @property
    def file(self) -> str:
        """The descriptor, which is the first argument of each of them."""
        return re.split(r"\D", self.arguments, maxsplit=1)[0]


@contextmanager
def traced(server: Server, trace: Path) -> Iterator[None]:
    """What the server asks of the system, from now on."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("no strace: install Debian's strace to see what is synced")
    command = [program, "-f", "-s", _SHOWN, "-e", _CALLS, "-o", str(trace), "-p", str(server.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if "attached" not in line:
            pytest.skip(f"strace may not attach to a process here: {line.strip()}")
        try:
            yield
        finally:
            tracer.terminate()


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """A call that another thread interrupts in the trace has two lines; its end is the second."""
    under_way: dict[tuple[str, str], tuple[int, str]] = {}
    for number, line in enumerate(lines):
        match = _LINE.match(line)
        if match is None:
            continue
        thread, name, how, rest = match.groups()
        began, arguments = number, rest
        if how != "(":
            began, arguments = under_way.pop((thread, name), (number, ""))
        elif rest.endswith("<unfinished ...>"):
            under_way[thread, name] = (number, rest)
            continue
        if not rest.rpartition(" = ")[2].startswith("-"):
            yield Call(name, arguments, began, number)


def append(server: Server, client: int) -> list[str]:
    """Make a stream and append to it, all of it twice at once; the offset that each one has."""
    pair = [http.client.HTTPConnection(server.host, server.port, timeout=60) for _ in range(2)]
    offsets = []
    try:
        for number in range(APPENDS):
            fields = {"Content-Type": "text/plain"}
            if number:
                fields |= {"Producer-Id": "p", "Producer-Epoch": "0"}
                fields["Producer-Seq"] = str(number - 1)
            if number == APPENDS - 1:
                fields["Stream-Closed"] = "true"
            method = "POST" if number else "PUT"
            body = f"word-{client}-{number}.".encode()
            for connection in pair:
                connection.request(method, f"/streams/synced/{client}", body, fields)
            answers = [connection.getresponse() for connection in pair]
            for answer in answers:
                answer.read()
            assert sorted(answer.status for answer in answers) == (
                [200, 204] if number else [200, 201]
            )
            (offset,) = {answer.headers["Stream-Next-Offset"] for answer in answers}
            assert offset is not None
            offsets.append(offset)
    finally:
        for connection in pair:
            connection.close()
    return offsets


def test_each_acknowledged_append_was_synced_before_its_answer_was_sent(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with (
        serving("http://127.0.0.1:9/v1", tmp_path / "data") as server,
        traced(server, trace),
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        answered = list(pool.map(lambda client: append(server, client), range(CLIENTS)))
        wait_for(lambda: len(_ANSWER.findall(trace.read_text())) >= 2 * CLIENTS * APPENDS)

    stored: dict[str, Call] = {}
    syncs: list[Call] = []
    sent: dict[str, list[Call]] = {}
    for call in calls(trace.read_text().splitlines()):
        if call.name == "pwrite64":
            for word in _WORD.findall(call.arguments):
                stored.setdefault(word, call)
        elif call.name in ("fdatasync", "fsync"):
            syncs.append(call)
        elif match := _ANSWER.search(call.arguments):
            sent.setdefault(match[1], []).append(call)
    for client, offsets in enumerate(answered):
        for number, offset in enumerate(offsets):
            page = stored[f"{client}-{number}"]
            assert len(sent[offset]) == 2
            acknowledged = min(answer.began for answer in sent[offset])
            assert any(
                sync.file == page.file
                and page.returned < sync.began
                and sync.returned < acknowledged
                for sync in syncs
            ), f"append {number} of client {client} was acknowledged before its sync"
    print(f"{2 * len(sent)} acknowledgements of {len(sent)} appends, {len(syncs)} syncs")
