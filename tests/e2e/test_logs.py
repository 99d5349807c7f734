"""What the server prints, as somebody's log collector reads it."""

from __future__ import annotations

import json
from pathlib import Path

from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import fetch, get, serving, wait_for


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
