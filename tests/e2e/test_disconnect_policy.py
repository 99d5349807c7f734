"""What leaving means is the policy's to say; what the upstream sees of it, and when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailrace.testing.chunks import DONE, chunk
from tailrace.testing.script import STALL, Head, Pause, Script, Send, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, fetch, get, serving, wait_for

CHAT = "/v1/chat/completions"
BODY = json.dumps({"model": "m", "messages": [], "stream": True}).encode()
CANCEL, KEEP, DETACH = (
    ("Tailrace-Disconnect", policy) for policy in ("cancel", "keep=1", "detach")
)
STOP = [("Stream-Closed", "true")]


def ask(server: Server, *headers: tuple[str, str], body: bytes = BODY) -> Viewer:
    fields = [("Content-Type", "application/json"), *headers]
    return Viewer(server, "POST", CHAT, fields, body)


def begun(text: str) -> Script:
    """An answer that says something and then nothing more."""
    return script(Head(), Send(chunk(text)), STALL)


def ending(server: Server, link: str) -> str:
    def now() -> str | None:
        with Viewer(server, "HEAD", link) as viewer:
            return viewer.head().fields.get("stream-ending")

    wait_for(now)
    return now() or ""


def first(viewer: Viewer, text: str) -> str:
    """The viewer has the first token; gives the answer's link."""
    viewer.head().until(lambda data: text.encode() in data)
    return viewer.fields["content-location"]


def test_cancel_closes_the_upstreams_connection_as_soon_as_the_last_viewer_leaves(
    tmp_path: Path,
) -> None:
    with ThreadedUpstream(begun("a")) as upstream, serving(upstream.base_url, tmp_path) as server:
        with ask(server, CANCEL) as viewer:
            link = first(viewer, "a")
            other = get(server, f"{link}?view=sse")
        wait_for(lambda: " left" in server.output)
        assert not upstream.request().left
        other.leave()
        assert upstream.disconnected(upstream.request())
        assert ending(server, link) == "cancelled"


def test_keep_waits_for_its_time_and_for_whoever_comes_back(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(stream(*map(chunk, "ab"), DONE, gate="token"), begun("c"))
        upstream.admit("token")
        with ask(server, KEEP) as viewer:
            link = first(viewer, "a")
        with ask(server, KEEP) as short:
            short_link = first(short, "c")
        back = get(server, f"{link}?view=sse")
        assert upstream.disconnected(upstream.request(2))
        assert ending(server, short_link) == "cancelled"
        assert not upstream.request(1).left
        upstream.open("token")
        assert b'"completed"' in back.rest().data
        back.leave()


def test_detach_runs_to_its_end_and_stopping_it_is_another_thing(tmp_path: Path) -> None:
    flags = ("--unwatched-timeout", "100ms")
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, tmp_path, *flags) as server,
    ):
        upstream.script(stream(*map(chunk, "ab"), DONE, gate="token"), begun("c"), begun("d"))
        upstream.admit("token")
        with ask(server, DETACH) as viewer:
            link = first(viewer, "a")
        with ask(server, DETACH) as stopped:
            stopped_link = first(stopped, "c")
        with ask(server) as kept:
            kept_link = first(kept, "d")
        assert ending(server, kept_link) == "cancelled"
        assert not upstream.request(1).left
        assert not upstream.request(2).left
        with Viewer(server, "POST", stopped_link, STOP) as stop:
            assert stop.head().status == 204
        assert upstream.disconnected(upstream.request(2))
        upstream.open("token")
        assert ending(server, link) == "completed"
        assert fetch(server, f"{link}?view=text") == (b"ab", True)


@pytest.mark.parametrize("policy", [CANCEL, KEEP, None])
def test_who_leaves_before_the_answer_has_an_address_cancels_it(
    tmp_path: Path, policy: tuple[str, str] | None
) -> None:
    """Nobody could come back to it; and clients that give up ask again."""
    silent = script(STALL)
    with ThreadedUpstream(silent) as upstream, serving(upstream.base_url, tmp_path) as server:
        with ask(server, *([policy] if policy else [])):
            asked = upstream.request()
        assert upstream.disconnected(asked)


def test_a_detached_answer_is_not_cancelled_before_its_first_byte_but_can_be_stopped(
    tmp_path: Path,
) -> None:
    silent = script(STALL)
    with ThreadedUpstream(silent) as upstream, serving(upstream.base_url, tmp_path) as server:
        with ask(server, DETACH):
            asked = upstream.request()
        wait_for(lambda: " left" in server.output)
        assert not asked.left
        listed = json.loads(fetch(server, "/streams?prefix=chat/").data)["streams"]
        assert [each["ending"] for each in listed] == [None]
        with Viewer(server, "POST", listed[0]["url"], STOP) as stop:
            assert stop.head().status == 204
        assert upstream.disconnected(asked)
        assert ending(server, listed[0]["url"]) == "cancelled"


def test_the_setting_is_what_counts_where_a_request_says_nothing(tmp_path: Path) -> None:
    with (
        ThreadedUpstream(begun("a")) as upstream,
        serving(upstream.base_url, tmp_path, "--disconnect", "cancel") as server,
    ):
        with ask(server) as viewer:
            first(viewer, "a")
        assert upstream.disconnected(upstream.request())
        with ask(server, ("Tailrace-Disconnect", "sometimes")) as wrong:
            assert wrong.head().status == 400
            assert b"keep=N" in wrong.rest().data
        assert len(upstream.requests) == 1


def test_the_policy_is_ours_and_not_shown_to_the_upstream(tmp_path: Path) -> None:
    with (
        ThreadedUpstream(stream(chunk("a"), DONE)) as upstream,
        serving(upstream.base_url, tmp_path) as server,
        ask(server, DETACH) as viewer,
    ):
        viewer.head().rest()
        names = {name for name, _ in upstream.request().headers}
        assert "tailrace-disconnect" not in names


def test_a_client_is_answered_before_load_balancers_lose_patience(tmp_path: Path) -> None:
    """And then hears of an error in the stream, where its status would have come too late."""
    late = script(Head(500, (("content-type", "application/json"),)), Send(b"{}"))
    with (
        ThreadedUpstream() as upstream,
        serving(
            upstream.base_url, tmp_path, "--first-heartbeat", "200ms", "--heartbeat", "100ms"
        ) as server,
    ):
        upstream.script(Script((STALL, *late.steps)))
        with ask(server) as viewer:
            assert viewer.head().status == 200
            assert viewer.chunk() == b": ping\n"
            upstream.open("stall")
            assert b'data: {"error"' in viewer.rest().data


def test_comments_keep_a_connection_alive_and_hide_no_dead_upstream(tmp_path: Path) -> None:
    pings = [Send(b": ping\n\n") for _ in range(1000)]
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, tmp_path, "--content-timeout", "400ms") as server,
    ):
        steps = [step for ping in pings for step in (ping, Pause(0.02))]
        upstream.script(script(Head(), Send(chunk("a")), *steps, Send(DONE)))
        with ask(server) as viewer:
            body = viewer.head().rest()
            assert b"stream_stalled" in body.data
            assert ending(server, viewer.fields["content-location"]) == "stalled"
        assert upstream.disconnected(upstream.request())
