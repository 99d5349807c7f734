"""SIGTERM while answers run and viewers watch."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

from tailrace.testing.chunks import chunk
from tailrace.testing.script import STALL, Head, Send, script
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import (
    EVENTS,
    NEEDS_CONNECTION,
    Viewer,
    fetch,
    get,
    serving,
    sse_events,
    wait_for,
)

ASK = "/stream?content=Hi"
ANSWERS = 10
VIEWERS = 10


@NEEDS_CONNECTION
def test_answers_are_interrupted_and_viewers_let_go_with_a_retry(tmp_path: Path) -> None:
    begun = script(Head(), *map(Send, map(chunk, "abc")), STALL)
    # Reaching the deadline would fail: nothing here holds the server up.
    deadline = ("--shutdown-timeout", "10m")
    with ThreadedUpstream(begun) as upstream:
        with serving(upstream.base_url, tmp_path, *deadline) as server:
            viewers: dict[str, list[Viewer]] = {"sse": [], "text": [], "ndjson": [], "openai": []}
            links = []
            for _ in range(ANSWERS):
                asker = get(server, ASK, EVENTS)
                links.append(asker.fields["content-location"])
                asker.until(lambda data: len(sse_events(data)) == 4)
                viewers["sse"].append(asker)
            for link in links:
                for view in list(viewers) * (VIEWERS // 4):
                    viewer = get(server, f"{link}?view={view}")
                    viewer.until(lambda data: b"c" in data[-4:] or b'"content":"c"' in data)
                    viewers[view].append(viewer)
            assert server.terminate() == 0
            for viewer in viewers["sse"]:
                body = viewer.rest()
                assert not body.whole
                assert body.data.startswith(b"retry: ")
                assert b"event: end" not in body.data
            for viewer in viewers["text"] + viewers["ndjson"]:
                assert viewer.rest() == (b"", False)
            for viewer in viewers["openai"]:
                body = viewer.rest()
                assert not body.whole
                assert b'"error"' in body.data
                assert b"[DONE]" not in body.data
            for each in [viewer for several in viewers.values() for viewer in several]:
                each.leave()
            for asked in upstream.requests:
                assert upstream.disconnected(asked)
        with serving(upstream.base_url, tmp_path) as server:
            for link in links:
                *events, end = sse_events(fetch(server, link, EVENTS).data)
                assert len(events) == 3
                assert json.loads(end.data)["ending"] == "interrupted"
                assert fetch(server, f"{link}?view=text") == (b"abc", False)


def test_idle_connections_and_requests_not_answered_yet_do_not_hold_it(tmp_path: Path) -> None:
    deadline = ("--shutdown-timeout", "10m")
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, tmp_path, *deadline) as server,
    ):
        idle = get(server, "/health")
        idle.rest()
        upstream.script(script(STALL))
        asking = Viewer(server, "GET", ASK)
        upstream.request()
        silent = Viewer(server, "GET", "/health", [("Expect", "nothing")])
        silent.head().rest()
        assert server.terminate() == 0
        assert asking.head().status == 503
        assert json.loads(asking.rest().data)["code"] == "shutting_down"
        for viewer in (idle, asking, silent):
            viewer.leave()


@NEEDS_CONNECTION
def test_a_viewer_that_reads_nothing_does_not_hold_it_beyond_its_deadline(tmp_path: Path) -> None:
    text = "x" * (8 << 20)
    deadline = ("--shutdown-timeout", "10m")
    with (
        ThreadedUpstream(script(Head(), Send(chunk(text)), STALL)) as upstream,
        serving(upstream.base_url, tmp_path, *deadline) as server,
        Viewer(server, "GET", ASK, receive_buffer=4096) as stuck,
        get(server, ASK) as other,
    ):
        stuck.head()
        other.until(lambda data: len(data) == len(text))
        assert server.terminate() == 0
        body = stuck.rest()
        assert not body.whole
        assert len(body.data) < len(text)


def test_a_second_signal_ends_it_at_once_and_what_was_stored_stays(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream:
        with serving(upstream.base_url, tmp_path, "--shutdown-timeout", "10m") as server:
            with get(server, ASK) as viewer:
                body = viewer.rest()
                link = viewer.fields["content-location"]
            # Acknowledged once all before it is durable.
            with Viewer(server, "POST", link, [("Stream-Closed", "true")]) as stop:
                assert stop.head().status == 204
            # A request whose body never comes holds the server up to its deadline.
            posting = Viewer(
                server, "POST", "/stream", [("Content-Length", "9"), ("Expect", "100-continue")]
            )
            posting.socket.recv(1, socket.MSG_PEEK)
            os.kill(server.pid, signal.SIGTERM)
            wait_for(lambda: "SIGTERM" in server.output)
            assert server.terminate() == 128 + signal.SIGTERM
            posting.leave()
        with serving(upstream.base_url, tmp_path) as server:
            assert fetch(server, f"{link}?view=text") == body
