"""A streamed request sent again with its key: asked, and paid for, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailrace.testing.chunks import DONE, chunk
from tailrace.testing.script import STALL, Head, Send, respond, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, serving

CHAT = "/v1/chat/completions"
KEY = ("Idempotency-Key", "6f1c8d9e")


def body(content: str = "Hi") -> bytes:
    messages = [{"role": "user", "content": content}]
    return json.dumps({"model": "m", "messages": messages, "stream": True}).encode()


def ask(server: Server, *headers: tuple[str, str], asked: bytes | None = None) -> Viewer:
    fields = [("Content-Type", "application/json"), *headers]
    return Viewer(server, "POST", CHAT, fields, asked or body())


def test_two_clients_with_one_key_watch_one_answer(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(stream(*map(chunk, "abc"), DONE, gate="token"))
        upstream.admit("token")
        with ask(server, KEY) as one, ask(server, KEY) as two:
            assert one.head().status == two.head().status == 200
            begun = two.until(lambda data: b'"a"' in data)
            upstream.open("token")
            whole = one.rest()
            assert whole.data == begun + two.rest().data
            assert whole.data.endswith(b"data: [DONE]\n\n")
            assert one.fields["content-location"] == two.fields["content-location"]
            replayed = [viewer.fields.get("idempotency-replayed") for viewer in (one, two)]
            assert sorted(replayed, key=str) == [None, "true"]
        with ask(server, KEY) as late:
            assert late.head().rest() == whole
        assert len(upstream.requests) == 1


def test_two_clients_that_wait_for_the_same_answer_get_it_both(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(script(STALL, *stream(chunk("a"), DONE).steps))
        with ask(server, KEY) as one, ask(server, KEY) as two:
            upstream.request()
            upstream.open("stall")
            assert one.head().rest() == two.head().rest()
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("ended", [True, False])
def test_a_key_outlives_the_server(tmp_path: Path, ended: bool) -> None:
    answer = stream(chunk("a"), DONE) if ended else script(Head(), Send(chunk("a")), STALL)
    with ThreadedUpstream(answer) as upstream:
        with serving(upstream.base_url, tmp_path) as server, ask(server, KEY) as viewer:
            seen = viewer.head().until(lambda data: b'"a"' in data)
            if ended:
                seen += viewer.rest().data
            # What is acknowledged after it is durable, so it is.
            with Viewer(server, "PUT", "/streams/later") as later:
                assert later.head().status == 201
            server.kill()
        with serving(upstream.base_url, tmp_path) as server, ask(server, KEY) as viewer:
            assert viewer.head().status == 200
            again = viewer.rest()
            assert again.data.startswith(seen)
            assert again.data.endswith(b"data: [DONE]\n\n") is ended
            assert (b"stream_interrupted" in again.data) is not ended
        assert len(upstream.requests) == 1


def test_a_key_is_durable_before_the_upstream_hears_of_it(tmp_path: Path) -> None:
    """Else a server that dies in that moment would ask, and pay, again."""
    with ThreadedUpstream(script(STALL)) as upstream:
        with serving(upstream.base_url, tmp_path) as server, ask(server, KEY):
            upstream.request()
            server.kill()
        with serving(upstream.base_url, tmp_path) as server, ask(server, KEY) as viewer:
            assert viewer.head().fields["idempotency-replayed"] == "true"
            assert b"stream_interrupted" in viewer.rest().data
        assert len(upstream.requests) == 1


def test_another_body_with_that_key_is_refused(tmp_path: Path) -> None:
    with (
        ThreadedUpstream(stream(chunk("a"), DONE)) as upstream,
        serving(upstream.base_url, tmp_path) as server,
    ):
        with ask(server, KEY) as viewer:
            viewer.head().rest()
        with ask(server, KEY, asked=body("Something else")) as other:
            assert other.head().status == 422
            assert json.loads(other.rest().data)["error"]["code"] == "idempotency_mismatch"
        assert len(upstream.requests) == 1


def test_who_asks_with_another_credential_does_not_get_anothers_answer(tmp_path: Path) -> None:
    with (
        ThreadedUpstream(stream(chunk("a"), DONE)) as upstream,
        serving(upstream.base_url, tmp_path) as server,
    ):
        for key in ("sk-one", "sk-two"):
            with ask(server, KEY, ("Authorization", f"Bearer {key}")) as viewer:
                assert "idempotency-replayed" not in viewer.head().fields
                viewer.rest()
        assert len(upstream.requests) == 2


def test_what_was_refused_may_be_sent_again(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(respond(400, b'{"error":{"message":"no"}}'), stream(chunk("a"), DONE))
        with ask(server, KEY) as refused:
            assert refused.head().status == 400
            assert refused.rest().data == b'{"error":{"message":"no"}}'
        with ask(server, KEY) as again:
            assert again.head().rest().data.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, tmp_path) as server,
        ask(server, ("Idempotency-Key", key)) as viewer,
    ):
        assert viewer.head().status == 400
        assert not upstream.requests
