"""A disk that takes no more in the middle of an answer, and its recovery."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tailrace.testing.chunks import DONE, chunk
from tailrace.testing.script import stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import EVENTS, Server, Viewer, fetch, get, serving, sse_events, wait_for

KIB = 1 << 10
# What may wait to be committed; so much a viewer may still see of a disk that is full.
BOUND = 128 * KIB
TOKEN = 4 * KIB
TOKENS = [f"{number:04d}".ljust(TOKEN, "x") for number in range(500)]


class Disk(NamedTuple):
    """A place for the data whose space a test can take away and give back."""

    data: Path
    fill: Callable[[Server], None]
    free: Callable[[Server], None]
    status: int
    """What a new question is told."""


@contextmanager
def small_file_system(directory: Path) -> Iterator[Disk]:
    """A real file system of 3 MiB, of which a file takes all but a few pages."""
    size = 3 << 20
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tailrace-test", str(directory)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system needs root")
    filler = directory / "filler"

    def fill(_: Server) -> None:
        with filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError as error:
                assert error.errno == errno.ENOSPC

    try:
        yield Disk(directory, fill, lambda _: filler.unlink(), 507)
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@contextmanager
def small_files(directory: Path) -> Iterator[Disk]:
    """A limit for the size of every file that the server writes (RLIMIT_FSIZE)."""
    if sys.platform != "linux":
        pytest.skip("the limits of another process can be set on Linux only")
    import resource

    def limit(server: Server, size: int) -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def fill(server: Server) -> None:
        limit(server, max(file.stat().st_size for file in directory.iterdir()))

    def free(server: Server) -> None:
        limit(server, resource.RLIM_INFINITY)

    # To SQLite that is an error like any other, not a want of space.
    yield Disk(directory, fill, free, 503)


DISKS = [small_file_system, small_files]


@pytest.mark.parametrize("make_disk", DISKS, ids=lambda make: make.__name__)
def test_a_full_disk_ends_running_answers_as_failed_and_the_server_recovers_by_itself(
    tmp_path: Path, make_disk: Callable[[Path], AbstractContextManager[Disk]]
) -> None:
    with make_disk(tmp_path) as disk, ThreadedUpstream() as upstream:
        # A commit begins by itself, nearly always before a write that waits for one is there.
        flags = ("--max-uncommitted", str(BOUND), "--commit-interval", "0.001")
        with serving(upstream.base_url, disk.data, *flags) as server:
            with get(server, "/stream?content=Hi") as viewer:
                before = viewer.fields["content-location"], viewer.rest()
            link = fill_in_mid_answer(server, upstream, disk)
            with get(server, "/stream?content=Hi") as refused:
                assert refused.status == disk.status
                assert json.loads(refused.rest().data)["code"].startswith("store_")
            assert len(upstream.requests) == 2
            # What is in the store can be read, what waits for it too.
            assert fetch(server, f"{before[0]}?view=text") == before[1]
            shown = fetch(server, f"{link}?view=text")
            assert not shown.whole

            disk.free(server)
            wait_for(lambda: get_status(server) == 200)
            with get(server, "/stream?content=Hi") as viewer:
                after = viewer.fields["content-location"], viewer.rest()
            assert after[1] == before[1]
            assert fetch(server, f"{link}?view=text") == shown
            assert server.terminate() == 0
        # What had to wait for room is durable now.
        with serving(upstream.base_url, disk.data) as server:
            for made, body in (before, after, (link, shown)):
                assert fetch(server, f"{made}?view=text") == body
            *_, end = fetch(server, f"{link}?view=ndjson").data.splitlines()
            assert json.loads(end)["ending"] == "failed"


def fill_in_mid_answer(server: Server, upstream: ThreadedUpstream, disk: Disk) -> str:
    """Fill the disk while an answer runs, and see how its viewer fares; where the answer is."""
    upstream.script(stream(*map(chunk, TOKENS), DONE, gate="token"))
    with get(server, "/stream?content=Hi", EVENTS) as viewer:
        viewer.until(lambda data: data.endswith(b"\n\n"))
        disk.fill(server)
        # One at a time, until the disk takes no more.
        body = b""
        while get_status(server) == 200:
            upstream.admit("token")
            body += viewer.until(lambda data: data.endswith(b"\n\n"))
            # A commit may fail so slowly that token after token comes up to the bound meanwhile,
            # and the answer has ended before /health knows. A write by a client is answered when
            # all before it is durable, or is known not to be.
            assert put(server, f"/streams/after-{len(body)}") in (201, disk.status)
        assert len(body) < len("".join(TOKENS)) / 2
        # The viewer still sees what comes, up to the bound.
        upstream.admit("token")
        body += viewer.until(lambda data: data.endswith(b"\n\n"))
        until_then = len(sse_events(body))
        upstream.open("token")
        rest = viewer.rest()
        assert rest.whole
        *events, end = sse_events(body + rest.data)
        assert json.loads(end.data) == {"ending": "failed", "reason": "storage"}
        texts = [json.loads(event.data)["choices"][0]["delta"]["content"] for event in events]
        assert texts == TOKENS[: len(texts)]
        assert until_then < len(texts) < len(TOKENS)
        # What one read of the upstream's connection held may be above the bound.
        assert (len(texts) - until_then) * TOKEN <= BOUND + 256 * KIB
        return viewer.fields["content-location"]


def put(server: Server, target: str) -> int:
    with Viewer(server, "PUT", target).head() as viewer:
        viewer.rest()
        return viewer.status


def get_status(server: Server) -> int:
    with get(server, "/health") as viewer:
        viewer.rest()
        return viewer.status
