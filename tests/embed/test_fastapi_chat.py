"""The example, under the three servers: refresh, two viewers, stop, restart, SIGTERM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tailrace.testing.chunks import chunk
from tailrace.testing.script import STALL, Head, Send, Wait, script
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import EVENTS, Viewer, fetch, get, sse_events
from tests.embed.servers import COMMANDS, DEADLINES, EXIT_CODES, ROOT, AppServer, running

CHAT = "/chat/1?prompt=Hi"
GATED = script(
    Head(),
    *map(Send, map(chunk, "abc")),
    Wait("more"),
    *map(Send, map(chunk, "de")),
    Send(b"data: [DONE]\n\n"),
)

each_server = pytest.mark.parametrize("server", COMMANDS)


@contextmanager
def chat(server: str, upstream: ThreadedUpstream, data: Path, *flags: str) -> Iterator[AppServer]:
    with running(
        server,
        "examples.fastapi_chat:app",
        flags,
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="unused",
        STREAMS=f"sqlite:{data / 'chat.db'}",
    ) as process:
        yield process


def read(viewer: Viewer, count: int) -> bytes:
    return viewer.until(lambda data: len(sse_events(data)) == count)


def texts(body: bytes) -> str:
    return "".join(event.data for event in sse_events(body) if event.type == "message")


@each_server
def test_a_refresh_and_a_second_viewer_get_the_one_answer(server: str, tmp_path: Path) -> None:
    with ThreadedUpstream(GATED) as upstream:
        with chat(server, upstream, tmp_path) as app:
            first = get(app, CHAT, EVENTS)
            assert first.fields["content-location"] == "/streams/chat/1"
            begun = read(first, 3)
            first.leave()
            last = sse_events(begun)[1].id
            with (
                get(app, CHAT, EVENTS, ("Last-Event-ID", last)) as resumed,
                get(app, "/streams/chat/1?view=text") as other,
            ):
                assert texts(read(resumed, 1)) == "c"
                assert other.until(lambda data: len(data) == 3) == b"abc"
                upstream.open("more")
                rest = resumed.rest()
                assert texts(rest.data) == "de"
                *_, end = sse_events(rest.data)
                assert json.loads(end.data)["ending"] == "completed"
                assert other.rest() == (b"de", True)
            assert len(upstream.requests) == 1
            with get(app, CHAT, EVENTS, ("Last-Event-ID", end.id)) as done:
                assert done.status == 204  # EventSource comes back no more
            whole = fetch(app, CHAT)
        with chat(server, upstream, tmp_path) as app:
            assert fetch(app, CHAT) == whole
            assert texts(whole.data) == "abcde"
        assert len(upstream.requests) == 1


@each_server
def test_stopping_is_not_leaving(server: str, tmp_path: Path) -> None:
    begun = script(Head(), Send(chunk("a")), STALL)
    with ThreadedUpstream(begun) as upstream, chat(server, upstream, tmp_path) as app:
        with get(app, CHAT, EVENTS) as viewer:
            read(viewer, 1)
            with Viewer(app, "DELETE", "/chat/1") as stopping:
                assert stopping.head().status == 200
            (end,) = sse_events(viewer.rest().data)
            assert json.loads(end.data) == {
                "ending": "cancelled",
                "reason": "Stopped by the reader.",
            }
        assert upstream.disconnected(upstream.request())


@each_server
def test_sigterm_with_open_viewers_ends_the_server_and_they_resume(
    server: str, tmp_path: Path
) -> None:
    begun = script(Head(), *map(Send, map(chunk, "abc")), STALL)
    with ThreadedUpstream(begun) as upstream:
        with chat(server, upstream, tmp_path) as app:
            watching = get(app, CHAT, EVENTS)
            reading = get(app, "/streams/chat/1?view=text")
            tailing = get(app, "/streams/chat/1?live=sse&offset=-1")
            last = sse_events(read(watching, 3))[-1].id
            reading.until(lambda data: data == b"abc")
            tailing.until(lambda data: b"upToDate" in data)
            assert app.terminate() == EXIT_CODES[server]
            farewell = watching.rest()
            assert farewell.data.startswith(b"retry: ")
            assert b"event: end" not in farewell.data
            assert reading.rest() == (b"", False)
            assert b"streamClosed" not in tailing.rest().data
            for viewer in (watching, reading, tailing):
                viewer.leave()
        with chat(server, upstream, tmp_path) as app:
            (end,) = sse_events(fetch(app, CHAT, EVENTS, ("Last-Event-ID", last)).data)
            assert json.loads(end.data)["ending"] == "interrupted"
        assert len(upstream.requests) == 1


@each_server
def test_a_viewer_that_reads_nothing_is_waited_for_until_the_servers_deadline(
    server: str, tmp_path: Path
) -> None:
    large = script(Head(), Send(chunk("x" * (8 << 20))), STALL)
    with (
        ThreadedUpstream(large) as upstream,
        chat(server, upstream, tmp_path, *DEADLINES[server]) as app,
        Viewer(app, "GET", CHAT, [EVENTS], receive_buffer=4096) as stuck,
    ):
        stuck.head()
        with get(app, "/streams/chat/1?view=text") as other:
            other.until(lambda data: len(data) == 8 << 20)
        assert app.terminate() in (EXIT_CODES[server], 0)
        assert not stuck.rest().whole


def test_it_is_short() -> None:
    lines = (ROOT / "examples" / "fastapi_chat.py").read_text().splitlines()
    assert len(lines) < 30
