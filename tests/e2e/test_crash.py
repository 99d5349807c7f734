"""``kill -9`` in the middle of answers, and what the next server knows of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tailrace.testing.chunks import chat_chunks
from tailrace.testing.script import STALL, Head, Pause, Send, script
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import EVENTS, Body, Server, Viewer, fetch, get, serving, sse_events

# What a crash may cost: two group commits of 20 ms and a slow disk.
LOST_AT_MOST_MS = 100
TOKENS = [f"token {number} " for number in range(400)]


def lines(body: bytes) -> list[dict[str, Any]]:
    """The whole lines of a body in the ndjson view."""
    return [json.loads(line) for line in body.split(b"\n")[:-1]]


def read_lines(viewer: Viewer, count: int) -> list[dict[str, Any]]:
    return lines(viewer.until(lambda data: data.count(b"\n") >= count))


def make_durable(server: Server) -> None:
    """Return once all that the server was given until now is durable.

    A stop is acknowledged when it is durable, and what is durable has no holes; so another
    answer is asked for and stopped.
    """
    with get(server, "/stream?content=Hi") as other:
        link = other.fields["content-location"]
        other.rest()
    stop(server, link)


def stop(server: Server, link: str) -> None:
    with Viewer(server, "POST", link, [("Stream-Closed", "true")]) as stopping:
        assert stopping.head().status == 204


@pytest.mark.parametrize("shown", [1, 20, 150])
def test_a_killed_server_loses_at_most_the_last_tenth_of_a_second(
    tmp_path: Path, shown: int
) -> None:
    with ThreadedUpstream() as upstream:
        steps = [step for data in chat_chunks(TOKENS) for step in (Pause(0.002), Send(data))]
        upstream.script(script(Head(), *steps))
        with (
            serving(upstream.base_url, tmp_path) as server,
            get(server, "/stream?content=Hi", EVENTS) as asker,
        ):
            link = asker.fields["content-location"]
            make_durable(server)
            with get(server, f"{link}?view=ndjson") as viewer:
                seen = read_lines(viewer, shown)
                server.kill()
                body = viewer.rest()
                assert not body.whole
                seen += lines(body.data)
        with serving(upstream.base_url, tmp_path) as server:
            *kept, end = lines(fetch(server, f"{link}?view=ndjson").data)
            both = min(len(kept), len(seen))
            assert kept[:both] == seen[:both]
            for lost in seen[len(kept) :]:
                assert lost["time"] >= seen[-1]["time"] - LOST_AT_MOST_MS
            assert end["type"] == "end"
            assert end["ending"] == "interrupted"
            # The place of a viewer who saw more than was kept reads as the end.
            with get(server, link, ("Last-Event-ID", seen[-1]["id"])) as again:
                rest = sse_events(again.rest().data)
            assert [event.id for event in rest[:-1]] == [line["id"] for line in kept[len(seen) :]]
            assert json.loads(rest[-1].data)["ending"] == "interrupted"
            with get(server, link, ("Last-Event-ID", rest[-1].id)) as over:
                assert over.status == 204
            text = fetch(server, f"{link}?view=text")
            assert not text.whole
            assert "".join(TOKENS).encode().startswith(text.data)


def test_an_eventsource_whose_answer_had_no_token_yet_is_told_and_pays_no_second_one(
    tmp_path: Path,
) -> None:
    with ThreadedUpstream() as upstream:
        upstream.script(script(STALL))
        with (
            serving(upstream.base_url, tmp_path) as server,
            get(server, "/stream?content=Hi", EVENTS) as viewer,
        ):
            (greeting,) = sse_events(viewer.until(lambda data: data.endswith(b"\n\n")))
            upstream.request()
            make_durable(server)
            asked = len(upstream.requests)
            server.kill()
        with serving(upstream.base_url, tmp_path) as server:
            with get(server, "/stream?content=Hi", EVENTS, ("Last-Event-ID", greeting.id)) as again:
                (end,) = sse_events(again.rest().data)
            assert json.loads(end.data)["ending"] == "interrupted"
            assert len(upstream.requests) == asked


def test_after_crash_upon_crash_all_answers_are_there_and_new_ones_work(tmp_path: Path) -> None:
    completed: list[tuple[str, Body]] = []
    broken: list[str] = []
    stopped: list[str] = []
    with ThreadedUpstream() as upstream:
        for _ in range(3):
            with serving(upstream.base_url, tmp_path) as server:
                with get(server, "/stream?content=Hi") as viewer:
                    completed.append((viewer.fields["content-location"], viewer.rest()))
                half = script(Head(), *map(Send, chat_chunks(["half", "half"])[:2]), STALL)
                upstream.script(half, half)
                for links in (broken, stopped):
                    with get(server, "/stream?content=Hi") as viewer:
                        assert viewer.chunk() == b"half"
                        links.append(viewer.fields["content-location"])
                stop(server, stopped[-1])
                server.kill()
        with serving(upstream.base_url, tmp_path) as server:
            for link, body in completed:
                assert body.whole
                assert fetch(server, f"{link}?view=text") == body
            for links, ending in ((broken, "interrupted"), (stopped, "cancelled")):
                for link in links:
                    assert fetch(server, f"{link}?view=text") == (b"half", False)
                    *_, end = lines(fetch(server, f"{link}?view=ndjson").data)
                    assert end["ending"] == ending
            page = json.loads(fetch(server, "/streams?prefix=chat/").data)
            assert page["total"]["streams"] == 9
            with get(server, "/stream?content=Hi") as viewer:
                assert viewer.rest() == completed[0][1]
            assert server.terminate() == 0
