"""``background`` of the Responses API: its answers run on without a client, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailrace.testing.apis import APIS
from tailrace.testing.chunks import error_body
from tailrace.testing.faults import fault_replies
from tailrace.testing.response_events import failed_event, response
from tailrace.testing.script import Wait, respond, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, fetch, serving, wait_for
from tests.e2e.kept import (
    EVENTS,
    RESPONSE,
    TEXTS,
    Asked,
    Field,
    Got,
    after,
    ask,
    call,
    half,
    said,
    until,
    value_of,
)


@pytest.fixture(scope="module")
def scripted() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream(scripts=fault_replies()) as upstream:
        yield upstream


@pytest.fixture
def upstream(scripted: ThreadedUpstream) -> Asked:
    return Asked(scripted)


@pytest.fixture(scope="module")
def server(
    scripted: ThreadedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One for all: an id is that of the answer that had it last. Who leaves, cancels."""
    data = tmp_path_factory.mktemp("background")
    flags = ("--disconnect", "cancel", "--unwatched-timeout", "50ms")
    with serving(scripted.base_url, data, *flags) as ours:
        yield ours


def in_background(server: Server, *fields: Field, streams: bool) -> Viewer:
    asked: dict[str, Any] = {"input": "Hi", "background": True, "stream": streams}
    return ask(server, "responses", *fields, **asked)


def polled(server: Server, status: str) -> dict[str, Any]:
    """The Response, once it is that."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found.append(call(server, "GET", RESPONSE).json)
        return bool(found[-1]["status"] == status)

    wait_for(look)
    return found[-1]


def answers(server: Server) -> list[dict[str, Any]]:
    """The answers that are kept, newest first."""
    listed: list[dict[str, Any]] = call(server, "GET", "/streams?prefix=chat/").json["streams"]
    return listed


def departures(server: Server) -> int:
    """How many clients have left before their response's end, as the log has it."""
    return server.output.count(" left")


@pytest.mark.parametrize("streams", [True, False])
def test_in_the_background_an_answer_runs_on_when_its_client_has_left(
    upstream: Asked, server: Server, streams: bool
) -> None:
    """Whatever the setting says of leaving; and the upstream need not know of such a thing."""
    upstream.script(half("responses"))
    before = departures(server)
    with in_background(server, streams=streams) as viewer:
        if streams:
            until(viewer, TEXTS[1])
        else:
            begun = Got(viewer)
            assert begun.status == 200
            # Of its text as much as had come by then.
            assert {**begun.json, "output": []} == {**response("in_progress"), "background": True}
            assert begun.fields["content-location"].startswith("/streams/chat/")
    sent = upstream.request()
    assert sent.json() == {"model": "m", "stream": True, "input": "Hi"}
    if streams:
        wait_for(lambda: departures(server) > before)
    assert polled(server, "in_progress")["background"] is True
    assert not sent.left
    upstream.admit("rest")
    whole = polled(server, "completed")
    assert whole == {**value_of(EVENTS[-1])["response"], "background": True}
    assert fetch(server, f"{RESPONSE}?stream=true").data == b"".join(EVENTS)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("streams", [True, False])
def test_in_the_background_an_answer_is_cancelled_by_its_id(
    upstream: Asked, server: Server, streams: bool
) -> None:
    upstream.script(half("responses"))
    with in_background(server, streams=streams) as viewer:
        if streams:
            until(viewer, TEXTS[1])
        else:
            Got(viewer)
    begun = TEXTS[0] + TEXTS[1]
    wait_for(lambda: said(call(server, "GET", RESPONSE).json) == begun)
    got = call(server, "POST", f"{RESPONSE}/cancel")
    assert (got.json["status"], got.json["background"]) == ("cancelled", True)
    assert upstream.disconnected(upstream.request())


def test_in_the_background_a_client_that_leaves_at_once_has_asked_all_the_same(
    upstream: Asked, server: Server
) -> None:
    upstream.script(script(Wait("head"), *half("responses").steps))
    before = departures(server)
    with in_background(server, streams=False):
        upstream.request()
    wait_for(lambda: departures(server) > before)
    upstream.admit("head")
    upstream.admit("rest")
    newest = answers(server)[0]["url"]
    wait_for(lambda: call(server, "HEAD", newest).fields.get("stream-ending"))
    assert polled(server, "completed")["background"] is True


def test_in_the_background_what_the_upstream_answers_instead_is_handed_on(
    upstream: Asked, server: Server
) -> None:
    whole, before = APIS["responses"].whole(TEXTS, "m"), answers(server)
    for streams in (True, False):
        for status, body in ((200, whole), (400, error_body("no")), (429, error_body("no"))):
            upstream.script(respond(status, body, ("retry-after", "7")))
            got = Got(in_background(server, streams=streams))
            assert (got.status, got.body.data, got.fields["retry-after"]) == (status, body, "7")
    assert [each["url"] for each in answers(server)] == [each["url"] for each in before]


def test_in_the_background_what_never_begins_is_502(upstream: Asked, server: Server) -> None:
    for name, code in (
        ("closes", "upstream_unreachable"),
        ("html", "upstream_broken"),
        ("empty-body", "upstream_refused"),
    ):
        asked: dict[str, Any] = {"input": f"script:{name}", "background": True, "stream": False}
        got = Got(ask(server, "responses", **asked))
        assert (got.status, got.json["error"]["code"]) == (502, code)


def test_in_the_background_a_failure_is_the_answer_that_it_gives(
    upstream: Asked, server: Server
) -> None:
    upstream.script(stream(EVENTS[0], failed_event("bad", 1)))
    begun = Got(in_background(server, streams=False))
    assert begun.status == 200
    failed = polled(server, "failed")
    assert failed["error"]["message"] == "bad"


def test_in_the_background_a_request_that_is_sent_again_with_its_key_is_the_same_answer(
    upstream: Asked, server: Server
) -> None:
    upstream.script(half("responses"))
    key = ("Idempotency-Key", "b4c1")
    first, again = [Got(in_background(server, key, streams=False)) for _ in range(2)]
    assert (first.status, again.status) == (200, 200)
    assert first.fields["content-location"] == again.fields["content-location"]
    assert [got.fields.get("idempotency-replayed") for got in (first, again)] == [None, "true"]
    assert call(server, "POST", f"{RESPONSE}/cancel").json["status"] == "cancelled"
    assert Got(in_background(server, key, streams=False)).json["status"] == "cancelled"
    assert len(upstream.requests) == 1


def test_a_background_answer_is_what_became_of_it_after_a_restart(
    upstream: Asked, tmp_path: Path
) -> None:
    upstream.script(stream(*EVENTS), half("responses"))
    with serving(upstream.base_url, tmp_path) as server:
        Got(in_background(server, streams=False))
        whole = polled(server, "completed")
        assert server.terminate() == 0
    with serving(upstream.base_url, tmp_path) as heir:
        assert call(heir, "GET", RESPONSE).json == whole
        assert call(heir, "POST", f"{RESPONSE}/cancel").json == whole
        assert Got(after(heir, RESPONSE, 4)).body == (b"".join(EVENTS[5:]), True)
        Got(in_background(heir, streams=False))
        wait_for(lambda: said(call(heir, "GET", RESPONSE).json) == TEXTS[0] + TEXTS[1])
        assert heir.terminate() == 0
    with serving(upstream.base_url, tmp_path) as last:
        got = call(last, "GET", RESPONSE)
        assert (got.json["status"], got.json["background"]) == ("failed", True)
        assert said(got.json) == TEXTS[0] + TEXTS[1]
        assert got.fields["stream-ending"] == "interrupted"
