"""What leaving means is the policy's to say; what the upstream sees of it, and when."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tailrace.testing.chunks import ANSWER_ID, DONE, chunk
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


# --- where nobody says anything -----------------------------------------------------------------


def reason(server: Server, link: str) -> str:
    last = json.loads(fetch(server, f"{link}?view=ndjson").data.splitlines()[-1])
    assert last["type"] == "end"
    return str(last["reason"])


def left(server: Server, *headers: tuple[str, str], text: str = "a") -> str:
    """An answer that its client leaves in the middle; its link."""
    with ask(server, *headers) as viewer:
        return first(viewer, text)


def test_an_answer_of_v1_is_stopped_a_second_after_its_client_closed_the_connection(
    tmp_path: Path,
) -> None:
    """It is how a user of an SDK stops one; and a model with one slot has others to answer."""
    with ThreadedUpstream(begun("a")) as upstream, serving(upstream.base_url, tmp_path) as server:
        link = left(server)
        assert upstream.disconnected(upstream.request())
        assert ending(server, link) == "cancelled"
        assert reason(server, link) == "Nobody watched for 1 second."


def asked_for_later(server: Server) -> str:
    with ask(server, ("Prefer", "respond-async")) as told:
        link = str(json.loads(told.head().rest().data)["url"])
    with get(server, f"{link}?view=sse") as viewer:
        viewer.until(lambda data: b'"a"' in data)
    return link


def looked_at(server: Server, target: str) -> str:
    with ask(server) as viewer:
        link = first(viewer, "a")
        with get(server, target.format(link)) as looking:
            assert looking.status == 200
    return link


def followed(server: Server) -> str:
    """As our page does."""
    with ask(server) as viewer:
        link = first(viewer, "a")
        body = json.dumps({"streams": [{"name": link.removeprefix("/streams/")}]}).encode()
        with Viewer(server, "POST", "/page/follow", (), body) as page:
            page.head().until(lambda data: b'"a"' in data)
    return link


def asked_in_a_url(server: Server) -> str:
    with get(server, "/stream?content=Hi") as viewer:
        assert viewer.chunk() == b"a"
        return viewer.fields["content-location"]


RETURNING: dict[str, Callable[[Server], str]] = {
    "a key": lambda server: left(server, ("Idempotency-Key", "7d1e")),
    "respond-async": asked_for_later,
    "a read of the link": lambda server: looked_at(server, "{}"),
    "a viewer": lambda server: looked_at(server, "{}?view=text"),
    "a read by the id": lambda server: looked_at(server, f"{CHAT}/{ANSWER_ID}"),
    "the page": followed,
    "/stream": asked_in_a_url,
}


def test_an_answer_of_v1_is_kept_for_who_can_come_back_or_whose_link_was_opened(
    tmp_path: Path,
) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(*[begun("a") for _ in range(len(RETURNING) + 1)])
        links = {way: leave(server) for way, leave in RETURNING.items()}
        last = left(server)  # whose second is over after all the others' would be
        assert ending(server, last) == "cancelled"
        assert upstream.disconnected(upstream.request(len(RETURNING) + 1))
        for way, link in links.items():
            with Viewer(server, "HEAD", link) as viewer:
                assert "stream-ending" not in viewer.head().fields, way
        assert [each.left for each in upstream.requests] == [False] * len(RETURNING) + [True]


def test_what_the_operator_says_of_leaving_counts_for_v1_too(tmp_path: Path) -> None:
    """A setting, even one that is the default elsewhere; a request goes before it."""
    flags = ("--disconnect", "keep")
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *flags) as server:
        upstream.script(begun("a"), begun("a"))
        kept = left(server)
        assert ending(server, left(server, KEEP)) == "cancelled"
        assert not upstream.request(1).left
        with Viewer(server, "HEAD", kept) as viewer:
            assert "stream-ending" not in viewer.head().fields


def test_a_setting_that_is_no_policy_is_refused_at_the_start() -> None:
    command = [sys.executable, "-m", "tailrace", "serve", "--disconnect", "sometimes"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "cancel, keep, keep=SECONDS or detach" in done.stderr
    assert "Traceback" not in done.stderr


# --- half a connection --------------------------------------------------------------------------


def test_who_closes_only_their_side_of_the_connection_has_left_the_answer(tmp_path: Path) -> None:
    """More is not to be seen of a client that leaves; a large request does not hide it."""
    large = json.dumps({"stream": True, "messages": ["x" * 500_000]}).encode()
    soon = ("--unwatched-timeout", "100ms")
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *soon) as server:
        upstream.script(begun("a"), begun("a"), script(STALL))
        for body in (BODY, large):
            with ask(server, body=body) as viewer:
                link = first(viewer, "a")
                viewer.socket.shutdown(socket.SHUT_WR)
                assert ending(server, link) == "cancelled"
                assert not viewer.rest().whole
        with ask(server) as waiting:
            asked = upstream.request(3)
            waiting.socket.shutdown(socket.SHUT_WR)
            assert upstream.disconnected(asked)


def test_an_append_behind_which_the_client_closes_its_side_is_acknowledged(
    tmp_path: Path,
) -> None:
    """``nc -N`` does so; what it is told is what has happened."""
    kind = [("Content-Type", "text/plain")]
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        for method, body, status in (("PUT", b"one ", 201), ("POST", b"two", 204)):
            with Viewer(server, method, "/streams/mine", kind, body) as client:
                client.socket.shutdown(socket.SHUT_WR)
                assert client.head().status == status
        with Viewer(server, "GET", "/streams/mine") as client:
            client.socket.shutdown(socket.SHUT_WR)
            assert client.head().rest() == (b"one two", True)
        assert " left" not in server.output


# --- before the answer --------------------------------------------------------------------------


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
