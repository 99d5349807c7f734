"""The main job: an answer streamed, kept, and picked up again."""

from __future__ import annotations

from pathlib import Path

from tailrace.testing.chunks import DONE, chat_chunks
from tailrace.testing.script import stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import EVENTS, fetch, get, serving


def test_an_answer_is_streamed_kept_and_read_again_in_every_view(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(stream(*chat_chunks(["Hello", ", ", "world"]), DONE))
        with get(server, "/stream?content=Hi") as viewer:
            assert viewer.status == 200
            assert viewer.rest() == (b"Hello, world", True)
            link = viewer.fields["content-location"]
        assert fetch(server, f"{link}?view=text") == (b"Hello, world", True)
        assert fetch(server, f"{link}?view=openai").data.endswith(b"data: [DONE]\n\n")
        assert b'"ending":"completed"' in fetch(server, f"{link}?view=ndjson").data
        assert b"event: end" in fetch(server, link, EVENTS).data
        assert len(upstream.requests) == 1
