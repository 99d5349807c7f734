"""Deleting on a disk that is full: it makes room, and what was refused has not happened."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, serving, wait_for
from tests.e2e.test_storage_failure import DISKS, Disk, get_status, small_file_system

KIB = 1 << 10
SEED = 20261126
BYTES = ("Content-Type", "application/octet-stream")
# Many pages each, which do not compress, and together a good part of the disk.
STREAMS = {f"/streams/s/{n}": random.Random(SEED + n).randbytes(150 * KIB) for n in range(6)}
FIRST, *OTHERS = STREAMS


def do(server: Server, method: str, target: str, body: bytes = b"") -> int:
    with Viewer(server, method, target, [BYTES], body) as viewer:
        viewer.head().rest()
        return viewer.status


def read(server: Server, target: str) -> bytes | None:
    """What the stream holds; None: there is none."""
    data = b""
    offset = "-1"
    while True:
        with Viewer(server, "GET", f"{target}?offset={offset}") as viewer:
            body = viewer.head().rest()
            if viewer.status == 404:
                return None
            assert viewer.status == 200
            assert body.whole
            data += body.data
            if "stream-up-to-date" in viewer.fields:
                return data
            offset = viewer.fields["stream-next-offset"]


def make_streams(server: Server) -> None:
    for target, data in STREAMS.items():
        assert do(server, "PUT", target, data) == 201


def exhaust(server: Server, disk: Disk, target: str) -> bytes:
    """Fill the disk until the store finds no room for a small append; what was appended."""
    refused, appended = 0, b""
    while refused < 3:
        disk.fill(server)
        data = b"%04d" % len(appended) * KIB
        status = do(server, "POST", target, data)
        assert status in (204, disk.status)
        # Refused is what finds the store unwell; what was under way then may be kept after all.
        refused = refused + 1 if status == disk.status else 0
        appended += data if status == 204 else b""
    return appended


def test_after_the_disk_is_full_a_delete_makes_room_so_that_appends_work_again(
    tmp_path: Path,
) -> None:
    with small_file_system(tmp_path) as disk, ThreadedUpstream() as upstream:
        with serving(upstream.base_url, disk.data) as server:
            make_streams(server)
            exhaust(server, disk, FIRST)
            gone, *kept = OTHERS
            assert do(server, "DELETE", gone) == 204
            assert read(server, gone) is None
            wait_for(lambda: get_status(server) == 200)
            assert do(server, "PUT", "/streams/new", b"x" * (50 * KIB)) == 201
            assert do(server, "POST", kept[0], b"more") == 204
            # Once more: what was given up for the first delete was taken again.
            exhaust(server, disk, FIRST)
            assert do(server, "DELETE", kept[1]) == 204
            wait_for(lambda: get_status(server) == 200)
            assert do(server, "POST", kept[0], b"and more") == 204
            assert server.terminate() == 0
        with serving(upstream.base_url, disk.data) as server:
            assert read(server, gone) is None
            assert read(server, kept[1]) is None
            assert read(server, "/streams/new") == b"x" * (50 * KIB)
            assert read(server, kept[0]) == STREAMS[kept[0]] + b"moreand more"
            assert read(server, kept[2]) == STREAMS[kept[2]]


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_what_was_deleted_on_a_full_disk_never_comes_back_and_leaves_no_bytes(
    tmp_path: Path, kill: bool
) -> None:
    canary = STREAMS[OTHERS[0]][: 2 * KIB]

    def is_found() -> bool:
        found = False
        for file in tmp_path.iterdir():
            try:
                found |= file.name != "filler" and canary in file.read_bytes()
            except FileNotFoundError:  # SQLite removes its log at any moment
                continue
        return found

    flags = ("--erase-within", "200ms")
    with small_file_system(tmp_path) as disk, ThreadedUpstream() as upstream:
        with serving(upstream.base_url, disk.data, *flags) as server:
            make_streams(server)
            exhaust(server, disk, FIRST)
            for target in OTHERS:
                assert do(server, "DELETE", target) == 204
            assert server.kill() if kill else server.terminate() == 0
        disk.free(server)
        with serving(upstream.base_url, disk.data, *flags) as server:
            assert [read(server, target) for target in OTHERS] == [None] * len(OTHERS)
            wait_for(lambda: not is_found())


def test_a_delete_refused_with_507_leaves_the_stream_readable_now_and_after_a_restart(
    tmp_path: Path,
) -> None:
    log = tmp_path / "tailrace.db-wal"

    def is_log_empty() -> bool:
        return not log.exists() or not log.stat().st_size

    with small_file_system(tmp_path) as disk, ThreadedUpstream() as upstream:
        with serving(upstream.base_url, disk.data, "--erase-within", "200ms") as server:
            make_streams(server)
            # An erasure empties the log, which is the last place where there would be room.
            target, erased, *kept = STREAMS
            assert do(server, "DELETE", erased) == 204
            wait_for(is_log_empty)
            (disk.data / "tailrace.db.reserve").unlink()
            disk.fill(server)
            for _ in range(2):
                assert do(server, "DELETE", target) == 507
                assert read(server, target) == STREAMS[target]
            disk.free(server)
            server.kill()
        with serving(upstream.base_url, disk.data) as server:
            assert read(server, erased) is None
            assert [read(server, t) for t in (target, *kept)] == [
                STREAMS[t] for t in (target, *kept)
            ]
            assert do(server, "DELETE", target) == 204
            assert read(server, target) is None


@pytest.mark.parametrize("make_disk", DISKS, ids=lambda make: make.__name__)
def test_a_restart_never_undoes_the_answer_that_a_delete_was_given(
    tmp_path: Path, make_disk: Callable[[Path], AbstractContextManager[Disk]]
) -> None:
    with make_disk(tmp_path) as disk, ThreadedUpstream() as upstream:
        with serving(upstream.base_url, disk.data) as server:
            make_streams(server)
            disk.fill(server)
            statuses = {target: do(server, "DELETE", target) for target in STREAMS}
            assert set(statuses.values()) <= {204, disk.status}
            expected = {t: None if statuses[t] == 204 else STREAMS[t] for t in STREAMS}
            assert {target: read(server, target) for target in STREAMS} == expected
            disk.free(server)
            server.kill()
        with serving(upstream.base_url, disk.data) as server:
            assert {target: read(server, target) for target in STREAMS} == expected
