"""Leaving is not stopping: who counts as a viewer, what stops an answer, what erases it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tailrace.testing.chunks import DONE, chat_chunks, chunk
from tailrace.testing.script import STALL, Head, Script, Send, Wait, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import (
    EVENTS,
    NEEDS_CONNECTION,
    Server,
    Viewer,
    fetch,
    get,
    serving,
    sse_events,
    wait_for,
)

ASK = "/stream?content=Hi"
STOP = [("Stream-Closed", "true")]
SOON = ("--unwatched-timeout", "300ms")
# More than fits into the buffers of a connection that nobody reads.
LARGE = "x" * (8 << 20)


def status(server: Server, method: str, target: str, *headers: tuple[str, str]) -> int:
    with Viewer(server, method, target, headers) as viewer:
        return viewer.head().status


def facts(server: Server, link: str) -> dict[str, str]:
    """What a HEAD says; it is no viewer."""
    with Viewer(server, "HEAD", link) as viewer:
        return viewer.head().fields


def events_of(server: Server, link: str) -> int:
    return int(facts(server, link)["stream-next-offset"].rpartition("_")[2])


def ending(server: Server, link: str) -> str:
    """The ending, as soon as there is one."""
    wait_for(lambda: "stream-ending" in facts(server, link))
    return facts(server, link)["stream-ending"]


def end_of(body: bytes) -> dict[str, Any]:
    *_, end = sse_events(body)
    assert end.type == "end"
    ended: dict[str, Any] = json.loads(end.data)
    return ended


def begun(*texts: str) -> Script:
    """An answer that says ``texts`` and then nothing more."""
    return script(Head(), *map(Send, map(chunk, texts)), STALL)


# --- leaving ------------------------------------------------------------------------------------


def test_an_answer_goes_on_without_its_viewer_and_is_cancelled_when_none_comes(
    tmp_path: Path,
) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *SOON) as server:
        upstream.script(stream(*map(chunk, "abcd"), DONE, gate="token"))
        upstream.admit("token")
        with get(server, ASK) as viewer:
            assert viewer.chunk() == b"a"
            link = viewer.fields["content-location"]
        wait_for(lambda: " left" in server.output)
        upstream.admit("token")
        wait_for(lambda: events_of(server, link) == 2)
        assert upstream.disconnected(upstream.request())
        assert ending(server, link) == "cancelled"
        assert fetch(server, f"{link}?view=text") == (b"ab", False)


def test_another_viewer_keeps_an_answer_alive(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *SOON) as server:
        upstream.script(stream(*map(chunk, "ab"), DONE, gate="token"), begun("c"))
        upstream.admit("token")
        with get(server, ASK) as first:
            assert first.chunk() == b"a"
            link = first.fields["content-location"]
            second = get(server, f"{link}?view=text")
            assert second.chunk() == b"a"
        # The time of an answer that was left later is over: so is the first one's.
        with get(server, ASK) as other:
            assert other.chunk() == b"c"
        assert upstream.disconnected(upstream.request(2))
        assert not upstream.request(1).left
        upstream.open("token")
        assert second.rest() == (b"b", True)
        second.leave()
        assert ending(server, link) == "completed"


def test_a_viewer_that_reads_nothing_does_not_count(tmp_path: Path) -> None:
    flags = (*SOON, "--viewer-stall", "300ms")
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *flags) as server:
        upstream.script(begun(LARGE))
        with Viewer(server, "GET", ASK, receive_buffer=4096) as viewer:
            viewer.head()
            link = viewer.fields["content-location"]
            assert upstream.disconnected(upstream.request())
            assert ending(server, link) == "cancelled"
            # It may still read what there is, and learns that this is not all.
            assert viewer.rest() == (LARGE.encode(), False)


@NEEDS_CONNECTION
def test_a_viewer_that_reads_nothing_is_closed_in_the_end_without_an_ending(
    tmp_path: Path,
) -> None:
    flags = ("--viewer-timeout", "300ms", "--heartbeat", "160ms")
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *flags) as server:
        upstream.script(stream(chunk(LARGE), chunk("more"), DONE, gate="token"))
        upstream.admit("token")
        with get(server, ASK) as reading:
            got = reading.until(lambda data: len(data) == len(LARGE))
            link = reading.fields["content-location"]
            with Viewer(server, "GET", f"{link}?view=sse", receive_buffer=4096) as stuck:
                stuck.head()
                wait_for(lambda: " aborted" in server.output)
                body = stuck.rest()
            assert not body.whole
            assert len(body.data) < len(LARGE)
            assert b"event: end" not in body.data
            # The others never noticed, and it may come back to its place.
            upstream.open("token")
            assert (got + reading.rest().data).endswith(b"xmore")
        assert end_of(fetch(server, link, EVENTS).data)["ending"] == "completed"


# --- stopping -----------------------------------------------------------------------------------


def test_a_stop_closes_the_upstreams_connection_and_every_viewer_learns_it(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(begun("a"))
        with get(server, ASK) as text:
            assert text.chunk() == b"a"
            link = text.fields["content-location"]
            views = {
                view: get(server, f"{link}?view={view}") for view in ("sse", "ndjson", "openai")
            }
            for viewer in views.values():
                assert viewer.chunk()
            assert status(server, "POST", link, *STOP) == 204
            assert upstream.disconnected(upstream.request())
            assert text.rest() == (b"", False)
            rest = {view: viewer.rest() for view, viewer in views.items()}
            for viewer in views.values():
                viewer.leave()
        assert all(body.whole for body in rest.values())
        assert end_of(rest["sse"].data)["ending"] == "cancelled"
        assert json.loads(rest["ndjson"].data)["ending"] == "cancelled"
        assert b'"type":"stream_cancelled"' in rest["openai"].data
        assert b"[DONE]" not in rest["openai"].data
        # Once more changes nothing.
        assert status(server, "POST", link, *STOP) == 204
        assert ending(server, link) == "cancelled"


def test_an_answer_of_which_nothing_came_yet_can_be_stopped(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(script(Wait("never"), Head()))
        with get(server, ASK, EVENTS) as viewer:
            viewer.until(lambda data: data.endswith(b"\n\n"))
            asked = upstream.request()
            assert status(server, "POST", viewer.fields["content-location"], *STOP) == 204
            assert upstream.disconnected(asked)
            assert end_of(viewer.rest().data)["ending"] == "cancelled"


def test_without_stream_closed_a_post_stops_nothing(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(stream(*map(chunk, "ab"), DONE, gate="token"))
        upstream.admit("token")
        with get(server, ASK) as viewer:
            assert viewer.chunk() == b"a"
            assert status(server, "POST", viewer.fields["content-location"]) == 409
            upstream.open("token")
            assert viewer.rest() == (b"b", True)


# --- listing and deleting -----------------------------------------------------------------------


def ask(server: Server, content: str = "Hi") -> str:
    with get(server, f"/stream?content={content}") as viewer:
        assert viewer.rest().whole
        return viewer.fields["content-location"]


def test_the_list_has_every_answer_once_newest_first_over_its_pages(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        links = [ask(server) for _ in range(7)]
        listed, before = [], ""
        while True:
            target = f"/streams?prefix=chat/&limit=3&before={before}"
            page = json.loads(fetch(server, target).data)
            assert page["total"]["streams"] == 7
            listed += [entry["url"] for entry in page["streams"]]
            if page["next"] is None:
                break
            before = page["next"]
        assert listed == links[::-1]
        assert json.loads(fetch(server, "/streams?prefix=other/").data)["streams"] == []


def test_a_delete_ends_the_answer_for_everyone(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(begun("a"))
        with get(server, ASK, EVENTS) as viewer:
            viewer.until(lambda data: len(sse_events(data)) == 2)
            link = viewer.fields["content-location"]
            assert status(server, "DELETE", link) == 204
            assert end_of(viewer.rest().data)["ending"] in ("cancelled", "expired")
        assert upstream.disconnected(upstream.request())
        assert status(server, "GET", link) == 404
        assert status(server, "DELETE", link) == 404
        assert json.loads(fetch(server, "/streams?prefix=chat/").data)["streams"] == []


def bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # SQLite removes its log with the last connection, at any moment
        return b""


@pytest.mark.parametrize("running", [False, True], ids=["closed", "running"])
def test_a_deleted_answers_bytes_leave_every_file(tmp_path: Path, running: bool) -> None:
    canaries = (b"canary-of-the-answer", b"one-that-stays")

    def found(canary: bytes) -> bool:
        return any(canary in bytes_of(file) for file in tmp_path.iterdir())

    flags = ("--erase-within", "500ms")
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *flags) as server:
        gone, stays = (canary.decode() for canary in canaries)
        upstream.script(
            stream(*chat_chunks([stays] * 3)),
            begun(*[gone] * 3) if running else stream(*chat_chunks([gone] * 3)),
        )
        kept = ask(server)
        with get(server, ASK) as viewer:
            viewer.until(lambda data: data.count(canaries[0]) == 3)
            link = viewer.fields["content-location"]
            wait_for(lambda: found(canaries[0]))
            assert status(server, "DELETE", link) == 204
            wait_for(lambda: not found(canaries[0]))
        assert found(canaries[1])
        assert fetch(server, f"{kept}?view=text") == (canaries[1] * 3, True)


def test_what_is_more_than_may_be_kept_goes_oldest_first(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream:
        upstream.add("long", stream(*chat_chunks(["x" * 10_000])))
        with serving(upstream.base_url, tmp_path) as server:
            links = [ask(server, "script:long") for _ in range(4)]
            assert server.terminate() == 0
        with serving(upstream.base_url, tmp_path, "--retention-size", "25000") as server:
            wait_for(lambda: status(server, "HEAD", links[1]) == 404)
            assert [status(server, "HEAD", link) for link in links] == [404, 404, 200, 200]
            assert server.terminate() == 0
        with serving(upstream.base_url, tmp_path, "--retention-age", "1ms") as server:
            wait_for(lambda: status(server, "HEAD", links[3]) == 404)
