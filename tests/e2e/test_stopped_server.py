"""A server that was stopped for longer than its clocks allow, while its upstream went on."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tailrace.testing.chunks import chat_chunks
from tailrace.testing.script import Head, Send, Step, Wait, script
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Viewer, fetch, serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

CLOCKS = ("--silence-timeout", "500ms", "--content-timeout", "500ms",
          "--first-byte-timeout", "500ms", "--total-timeout", "900ms")  # fmt: skip
FIRST, *REST = chat_chunks(["Hello", ", ", "world."])


@pytest.mark.parametrize("when", ["before the head", "in mid-answer"])
def test_what_came_while_the_server_was_stopped_is_read_before_its_clocks_are_believed(
    tmp_path: Path, when: str
) -> None:
    begins: list[Step] = (
        [Wait("go"), Head()] if when == "before the head" else [Head(), Send(FIRST), Wait("go")]
    )
    rest = [FIRST, *REST] if when == "before the head" else REST
    with (
        ThreadedUpstream(script(*begins, *map(Send, rest))) as upstream,
        serving(upstream.base_url, tmp_path, *CLOCKS) as server,
        Viewer(server, "GET", "/stream?content=Hi") as viewer,
    ):
        upstream.reached("go")
        if when == "in mid-answer":
            viewer.head()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            upstream.open("go")
            time.sleep(1.2)  # the gap itself: longer than any of the clocks
        finally:
            os.kill(server.pid, signal.SIGCONT)
        if when != "in mid-answer":
            viewer.head()
        assert viewer.status == 200
        assert viewer.rest() == (b"Hello, world.", True)


def test_an_upstream_that_was_silent_meanwhile_is_stalled(tmp_path: Path) -> None:
    with (
        ThreadedUpstream(script(Head(), Send(FIRST), Send(REST[0]), Wait("go"))) as upstream,
        serving(upstream.base_url, tmp_path, *CLOCKS) as server,
        Viewer(server, "GET", "/stream?content=Hi") as viewer,
    ):
        upstream.reached("go")
        link = viewer.head().fields["content-location"]
        os.kill(server.pid, signal.SIGSTOP)
        try:
            time.sleep(1.2)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert not viewer.rest().whole
        assert b"stalled" in fetch(server, f"{link}?view=sse").data
