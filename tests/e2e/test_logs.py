"""What the server prints of requests and answers, and notes with their streams."""

from __future__ import annotations

import json
from pathlib import Path

from tailrace.testing.chunks import chunk
from tailrace.testing.script import STALL, Head, Send, script
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, fetch, get, serving, wait_for


def test_as_json_every_line_is_an_object_also_of_what_was_refused_unread(tmp_path: Path) -> None:
    """What our own protocol refuses was logged as text among them."""
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, tmp_path, "--log-format", "json") as server,
    ):
        fetch(server, "/stream?content=secret%20words")
        with get(server, "/stream?content=" + "a" * 70_000) as refused:
            assert refused.status == 414

        def logged() -> list[dict[str, object]]:
            return [json.loads(line) for line in server.output.splitlines() if line[:1] == "{"]

        wait_for(lambda: len(logged()) == 3)
        started = server.output.partition("{")[0].splitlines()
        assert len(server.output.splitlines()) == len(started) + 3
        assert {line["event"] for line in logged()} == {"request", "answer"}
        assert sorted(str(line.get("status")) for line in logged()) == ["200", "414", "None"]
        assert "secret" not in server.output


def note(server: Server) -> dict[str, object]:
    """What is noted of the latest answer."""
    listed = json.loads(fetch(server, "/streams?prefix=chat/&limit=1").data)["streams"]
    noted: dict[str, object] = listed[0].get("note", {})
    return noted


def test_the_tokens_of_an_answer_that_was_stopped_are_estimated_and_marked_so(
    tmp_path: Path,
) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(script(Head(), *map(Send, map(chunk, ["Six", " short", " words"])), STALL))
        with get(server, "/stream?content=Hello") as viewer:
            viewer.until(lambda said: said.endswith(b"words"))
            link = viewer.fields["content-location"]
            with Viewer(server, "POST", link, [("Stream-Closed", "true")]) as stop:
                assert stop.head().status == 204
        wait_for(lambda: note(server).get("tokens"))
        assert note(server)["tokens"] == {"input": 1, "output": 3, "estimated": True}
        assert (note(server)["attempts"], note(server)["viewers"]) == (1, 1)
        wait_for(lambda: "answer cancelled" in server.output)
        assert "tokens_output=3 tokens_estimated=true" in server.output
