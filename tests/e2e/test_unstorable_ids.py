"""What an upstream calls its answer may be no text: the answer is kept, and so is everybody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.testing.chunks import DONE, chunk
from tailrace.testing.script import stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, fetch, get, serving


def told(server: Server, method: str, target: str, body: bytes = b"") -> int:
    fields = (("Content-Type", "text/plain"),)
    with Viewer(server, method, target, fields, body).head() as viewer:
        viewer.rest()
        return viewer.status


@pytest.mark.parametrize("identity", [rb"a\ud800b", b"a\xffb"], ids=["half a pair", "no UTF-8"])
def test_an_upstreams_id_that_is_no_text_stops_no_write_and_loses_no_answer(
    tmp_path: Path, identity: bytes
) -> None:
    first = chunk("Hello").replace(b'"id":"', b'"id":"%b' % identity, 1)
    with ThreadedUpstream() as upstream:
        upstream.script(stream(first, chunk(" there"), DONE))
        with serving(upstream.base_url, tmp_path) as server:
            with get(server, "/stream?content=Hi") as viewer:
                assert viewer.rest() == (b"Hello there", True)
                link = viewer.fields["content-location"]
            assert told(server, "PUT", "/streams/mine") == 201
            assert told(server, "POST", "/streams/mine", b"more") == 204
            assert told(server, "DELETE", "/streams/mine") == 204
            assert told(server, "GET", "/health") == 200
            assert server.terminate() == 0
        with serving(upstream.base_url, tmp_path) as server:
            assert fetch(server, f"{link}?view=text") == (b"Hello there", True)
