"""A thousand viewers that never read, large events, and a server that does not grow.

docs/backpressure.md states the bound and where each of its numbers comes from. To print what
was measured:

    pytest tests/e2e/test_memory.py -s
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tailrace.config.settings import Settings
from tailrace.http1.flow_control import WRITE_HIGH_WATER
from tailrace.log import encodings, history
from tailrace.log.cursor import SLICE
from tailrace.model import format_offset
from tailrace.stores.sqlite.settings import SqliteSettings
from tailrace.testing.chunks import DONE, chunk, role_chunk
from tailrace.testing.script import Head, Script, Send, Step, Wait
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import PLAIN, Server, Viewer, get, serving

pytestmark = [
    pytest.mark.slow,
    # Half a minute on a machine of two cores; what is slower is the disk, or other work.
    pytest.mark.timeout(600),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

KIB = 1024
MIB = 1024 * KIB
VIEWERS = 1000
STREAMS = 2
EVENT = 10 * MIB
# Seconds without a byte that are a hang, and not a disk that takes 40 MiB at a few MiB a second.
PATIENCE = 120.0


def bound(viewers: int, streams: int, event: int) -> int:
    """What docs/backpressure.md promises, from the constants and defaults it names."""
    settings, store_settings = Settings(), SqliteSettings()
    viewer = WRITE_HIGH_WATER + 2 * SLICE + 24 * KIB
    stream = max(settings.window, event) + 3 * event
    arriving = store_settings.max_uncommitted + streams * event
    store = 2 * arriving + store_settings.journal_limit + 8 * MIB + 2 * event
    behind = history.LIMIT + event + history.PARALLEL * 3 * event
    encoded = encodings.LIMIT + 2 * event
    return 64 * MIB + viewers * viewer + streams * stream + store + behind + encoded


# --- the answers ------------------------------------------------------------------------------

# One of each stream: 10 x 10 MB, and the sizes that ordinary and odd models send in between.
_SIZES = [40, 700, 64 * KIB, 200 * KIB, MIB, EVENT - 400]


def texts(letter: str) -> Iterator[str]:
    """The deltas of one stream, 113 MB: each size ten times, never the same text twice."""
    for turn in range(10):
        for size in _SIZES:
            head = f"{letter}{turn}."
            yield head + letter * (size - len(head))


def answer(letter: str) -> Script:
    """A first event, then, once the test says so, all the others."""
    steps: list[Step] = [Head(), Send(role_chunk()), Wait(letter)]
    steps += [Send(chunk(text)) for text in texts(letter)]
    return Script((*steps, Send(DONE)))


def expected_text(letter: str) -> str:
    whole = hashlib.sha256()
    for text in texts(letter):
        whole.update(text.encode())
    return whole.hexdigest()


def expected_events(letter: str, generation: str) -> tuple[str, int]:
    """The digest of the events in the ``sse`` view, and how many bytes they are."""
    whole, size = hashlib.sha256(), 0
    events = [role_chunk(), *map(chunk, texts(letter))]
    for number, event in enumerate(events, 1):
        block = f"id: {format_offset(generation, number)}\n".encode() + event
        whole.update(block)
        size += len(block)
    return whole.hexdigest(), size


# --- viewers ----------------------------------------------------------------------------------


@contextmanager
def room_for_sockets(count: int) -> Iterator[None]:
    """Each viewer is a socket here and one in the server, which inherits the limit."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} file descriptors, may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def stuck(server: Server, target: str) -> Viewer:
    """A viewer that has asked, and whose system takes little of what it does not read."""
    return Viewer(server, "GET", target, receive_buffer=4096)


class Reading(threading.Thread):
    """Reads all that a viewer is sent; keeps a digest of the first bytes, and the others.

    Ends by itself, also where nothing comes any more: however long it takes, while bytes come
    nothing hangs.
    """

    def __init__(self, viewer: Viewer, digested: float = math.inf) -> None:
        super().__init__(daemon=True)
        self.tail = b""
        self.whole = False
        self.failure: Exception | None = None
        self._viewer = viewer
        # While the store catches up on a slow disk nothing is sent, and that is no fault.
        viewer.socket.settimeout(PATIENCE)
        self._room = digested
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def run(self) -> None:
        try:
            while (data := self._viewer.chunk()) is not None:
                self.take(data)
            self.whole = True
        except (EOFError, OSError) as error:
            self.failure = error

    def take(self, data: bytes) -> None:
        room = int(min(self._room, len(data)))
        self._room -= room
        self._digest.update(data[:room])
        self.tail += data[room:]


def peak(server: Server) -> int:
    """The most resident memory that the server ever had."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.pid}/status").read_text())
    assert match
    return int(match[1]) * KIB


def show(what: str, size: int) -> None:
    print(f"{what:<52}{size / MIB:8.1f} MiB")


def begin(server: Server, stack: ExitStack, link: str) -> tuple[Viewer, bytes]:
    """A stuck viewer that is known to be attached: it was sent the first event."""
    viewer = stack.enter_context(stuck(server, f"{link}?view=sse")).head()
    return viewer, viewer.until(lambda data: data.endswith(b"\n\n"))


def test_a_thousand_viewers_that_never_read_cost_what_was_promised(tmp_path: Path) -> None:
    limit = bound(VIEWERS, STREAMS, EVENT)
    show("\nbound stated beforehand", limit)
    letters = "ab"[:STREAMS]
    with (
        room_for_sockets(VIEWERS),
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, tmp_path) as server,
        ExitStack() as stack,
    ):
        show("an idle server", server.memory())
        upstream.script(*map(answer, letters))
        asked = [stack.enter_context(get(server, "/stream?content=Hi")) for _ in letters]
        links = [viewer.fields["content-location"] for viewer in asked]
        crowd = [begin(server, stack, links[n % STREAMS]) for n in range(VIEWERS)]
        show("with a thousand viewers, before the answers", server.memory())
        normal = [Reading(viewer) for viewer in asked]
        for letter, reading in zip(letters, normal, strict=True):
            reading.start()
            upstream.open(letter)
        for letter, reading in zip(letters, normal, strict=True):
            reading.join()
            assert reading.whole, (reading.failure, server.output)
            assert reading.digest == expected_text(letter)
        show("after the answers", server.memory())
        show("at most until then", peak(server))
        assert peak(server) < limit

        # Some wake up. What they have not read is in the store only.
        woken = []
        for n, (viewer, first) in enumerate(crowd[:4]):
            viewer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
            generation = links[n % STREAMS].rpartition("/")[2]
            digest, size = expected_events(letters[n % STREAMS], generation)
            reading = Reading(viewer, size)
            reading.take(first)
            reading.start()
            woken.append((digest, reading))
        for digest, reading in woken:
            reading.join()
            assert reading.whole, (reading.failure, server.output)
            assert reading.digest == digest
            assert b'{"ending": "completed"' in reading.tail
        show("at most, four of them having read everything", peak(server))
        assert peak(server) < limit


IDLE = 500
# A connection, a cursor and a sink are 3.3 KB; nginx and its nchan take 10 for the same.
IDLE_BOUND = 6 * KIB


@pytest.mark.skipif(bool(os.environ.get(PLAIN)), reason="plain ASGI needs a task for each viewer")
def test_a_viewer_in_whose_stream_nothing_happens_costs_next_to_nothing(tmp_path: Path) -> None:
    with (
        room_for_sockets(2 * IDLE),
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, tmp_path) as server,
        ExitStack() as stack,
    ):

        def watch(count: int) -> int:
            """The server's memory with so many more viewers."""
            for _ in range(count):
                stack.enter_context(get(server, f"{link}?view=sse"))
            return server.memory()

        upstream.script(answer("a"))
        asked = stack.enter_context(get(server, "/stream?content=Hi"))
        link = asked.fields["content-location"]
        # The first ones load code, and fill what memory the server has in reserve.
        before = watch(IDLE)
        cost = (watch(IDLE) - before) / IDLE
        print(f"\nan idle viewer: {cost:.0f} bytes")
        assert cost < IDLE_BOUND
