"""Answers by the ids that their APIs gave them: read, read on, stopped, deleted; over sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tailrace.testing.apis import APIS
from tailrace.testing.chunks import error_body
from tailrace.testing.response_events import (
    RESPONSE_ID,
    failed_event,
    last_event,
    response_error,
)
from tailrace.testing.script import respond, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, fetch, serving
from tests.e2e.kept import (
    ANSWERS,
    CHAT,
    CHATS,
    CHUNKS,
    ENDS,
    EVENTS,
    NUMBERINGS,
    RESPONSE,
    RESPONSES,
    TEXTS,
    Asked,
    Got,
    after,
    ask,
    blocks_of,
    call,
    expected,
    half,
    played,
    post,
    said,
    until,
    value_of,
)

BOTH = pytest.mark.parametrize("api", ANSWERS)


@pytest.fixture(scope="module")
def scripted() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(scripted: ThreadedUpstream) -> Asked:
    return Asked(scripted)


@pytest.fixture(scope="module")
def server(
    scripted: ThreadedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One for all: an id is that of the answer that had it last."""
    with serving(scripted.base_url, tmp_path_factory.mktemp("kept")) as ours:
        yield ours


def assert_missing(got: Got) -> None:
    """The upstream was asked, and says that there is no such thing."""
    assert got.status == 404
    assert got.body.data == error_body("Not found", kind="invalid_request_error")


# --- reading ------------------------------------------------------------------------------------


@BOTH
def test_an_answer_is_shown_as_far_as_it_has_come_and_then_as_it_ended(
    upstream: Asked, server: Server, api: str
) -> None:
    path, _ = ANSWERS[api]
    upstream.script(half(api))
    with ask(server, api) as viewer:
        until(viewer, TEXTS[1])
        link = viewer.fields["content-location"]
        running = call(server, "GET", path)
        assert running.fields["content-type"] == "application/json"
        assert running.fields["content-location"] == link
        assert "stream-ending" not in running.fields
        assert (running.status, said(running.json)) == (200, TEXTS[0] + TEXTS[1])
        if api == "responses":
            assert running.json["status"] == "in_progress"
        else:
            assert [each["finish_reason"] for each in running.json["choices"]] == [None]
            assert "error" not in running.json
        upstream.admit("rest")
        assert viewer.rest().whole
    whole = call(server, "GET", path)
    assert whole.fields["stream-ending"] == "completed"
    wanted = json.loads(APIS[api].whole(TEXTS, "test-model"))
    wanted.pop("usage" if api == "chat" else "", None)
    assert whole.json == wanted


@pytest.mark.parametrize(
    ("last", "status", "ending"),
    [
        (last_event(TEXTS, 11), "completed", "completed"),
        (last_event(TEXTS, 11, status="incomplete"), "incomplete", "completed"),
        (failed_event("bad", 11), "failed", "failed"),
        (response_error("bad", 11), "failed", "failed"),
        (b"", "failed", "cut"),
    ],
)
def test_the_status_of_a_response_is_what_became_of_it(
    upstream: Asked, server: Server, last: bytes, status: str, ending: str
) -> None:
    upstream.script(stream(*EVENTS[:-1], last))
    Got(ask(server, "responses"))
    got = call(server, "GET", RESPONSE)
    assert (got.json["status"], got.fields["stream-ending"]) == (status, ending)
    if status == "failed":
        wanted = "bad" if last else "The upstream's answer ended without response.completed."
        assert wanted in got.json["error"]["message"]
    if status == "incomplete":
        assert got.json["incomplete_details"] == {"reason": "max_output_tokens"}


# --- reading on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("numbering", NUMBERINGS)
def test_what_follows_any_number_is_the_rest_and_how_it_ended(
    upstream: Asked, server: Server, numbering: str
) -> None:
    for end in ENDS:
        upstream.script(stream(*played(numbering, end)))
        whole = Got(ask(server, "responses")).body
        assert (b"event: error" in whole.data) is (end != "whole")
        rests = expected(numbering, whole.data)
        assert rests[10**9] == (b"" if end == "whole" else blocks_of(whole.data)[-1])
        for number, rest in rests.items():
            assert Got(after(server, RESPONSE, number)).body == (rest, True), (end, number)
        assert fetch(server, f"{RESPONSE}?stream=true") == whole


@pytest.mark.parametrize("numbering", ["from-0", "wide-gaps", "none"])
def test_what_follows_any_number_of_a_running_answer_comes_live(
    upstream: Asked, server: Server, numbering: str
) -> None:
    events, gate = played(numbering, "whole"), f"numbered {numbering}"
    upstream.script(stream(*events, gate=gate))
    upstream.admit(gate, 6)
    with ask(server, "responses") as viewer:
        begun = until(viewer, TEXTS[1])
        seen = [NUMBERINGS[numbering](place) for place in range(6)]
        numbers = [place if number is None else number for place, number in enumerate(seen)]
        behind = [after(server, RESPONSE, number) for number in (*numbers, 10**9)]
        upstream.admit(gate, len(events) - 6)
        whole = begun + viewer.rest().data
    blocks = blocks_of(whole)
    assert blocks == events
    for place, each in enumerate(behind, 1):
        assert Got(each).body == (b"".join(blocks[min(place, 6) :]), True)


def test_events_of_a_chat_count_from_0_and_only_those_that_a_client_was_shown(
    upstream: Asked, server: Server
) -> None:
    """A chunk that was none is not, nor is the usage that only we asked for."""
    counted = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    for broken in ([], [b"data: {\n\n"]):
        for usage in ({}, {"stream_options": {"include_usage": True}}):
            chunks = [*CHUNKS[:2], *broken, *CHUNKS[2:-1], counted, CHUNKS[-1]]
            upstream.script(stream(*chunks))
            blocks = blocks_of(Got(ask(server, "chat", **usage)).body.data)
            assert (counted in blocks) is bool(usage)
            end = blocks[-1]
            assert (end == CHUNKS[-1]) is (not broken)
            for number in range(len(blocks) + 2):
                rest = b"".join(blocks[number + 1 :]) or end
                assert Got(after(server, CHAT, number)).body == (rest, True), number


@BOTH
def test_a_number_that_is_none_is_refused_in_the_apis_shape(
    upstream: Asked, server: Server, api: str
) -> None:
    path, events = ANSWERS[api]
    upstream.script(stream(*events))
    Got(ask(server, api))
    for number in ("x", "-1", "1.5", "1e3", "٣", "9" * 16):
        got = Got(after(server, path, quote(number)))
        error = got.json["error"]
        assert (got.status, error["code"]) == (400, "bad_request"), number
        assert error["type"] == "invalid_request_error"


# --- what is not ours ---------------------------------------------------------------------------


def test_an_id_that_is_not_ours_is_asked_of_the_upstream(upstream: Asked, server: Server) -> None:
    whose = ("Authorization", "Bearer sk-client")
    theirs = b'{"id":"theirs","status":"cancelled"}'
    every = []
    for path in (f"{RESPONSES}/resp_of_old", f"{CHATS}/chatcmpl-of-old"):
        asked = [("GET", path), ("GET", f"{path}?stream=true&starting_after=3"), ("DELETE", path)]
        for method, target in asked:
            assert_missing(call(server, method, target, whose))
        upstream.script(respond(200, theirs))
        assert call(server, "POST", f"{path}/cancel", whose).body.data == theirs
        every += [*asked, ("POST", f"{path}/cancel")]
    got = [(each.method, each.target, each.header("authorization")) for each in upstream.requests]
    assert got == [(*each, whose[1]) for each in every]


@BOTH
def test_what_is_below_an_answer_of_ours_only_the_upstream_knows(
    upstream: Asked, server: Server, api: str
) -> None:
    path, events = ANSWERS[api]
    upstream.script(stream(*events), respond(200, b'{"metadata":{}}'))
    Got(ask(server, api))
    assert_missing(call(server, "GET", f"{path}/input_items?limit=1"))
    assert Got(post(server, path, metadata={})).json == {"metadata": {}}
    targets = [(each.method, each.target) for each in upstream.requests[1:]]
    assert targets == [("GET", f"{path}/input_items?limit=1"), ("POST", path)]


def test_an_id_of_one_api_is_none_of_anothers(upstream: Asked, server: Server) -> None:
    upstream.script(stream(*EVENTS))
    Got(ask(server, "responses"))
    assert_missing(call(server, "GET", f"{CHATS}/{RESPONSE_ID}"))


# --- stopping and deleting ----------------------------------------------------------------------


def test_to_cancel_stops_the_upstream_and_to_cancel_again_changes_nothing(
    upstream: Asked, server: Server
) -> None:
    upstream.script(half("responses"))
    with ask(server, "responses") as viewer:
        until(viewer, TEXTS[1])
        first = call(server, "POST", f"{RESPONSE}/cancel")
        assert (first.status, first.json["status"]) == (200, "cancelled")
        assert said(first.json) == TEXTS[0] + TEXTS[1]
        assert first.json["output"][0]["status"] == "incomplete"
        assert first.fields["stream-ending"] == "cancelled"
        assert upstream.disconnected(upstream.request())
        error = value_of(viewer.rest().data)
        assert (error["type"], error["code"]) == ("error", "cancelled")
    for method, path in (("POST", f"{RESPONSE}/cancel"), ("GET", RESPONSE)):
        assert call(server, method, path).answer == first.answer
    assert len(upstream.requests) == 1


def test_to_cancel_what_is_whole_leaves_it_whole(upstream: Asked, server: Server) -> None:
    upstream.script(stream(*EVENTS))
    whole = Got(ask(server, "responses")).body
    got = call(server, "POST", f"{RESPONSE}/cancel")
    assert (got.status, got.json["status"]) == (200, "completed")
    assert fetch(server, f"{RESPONSE}?stream=true") == whole


@BOTH
@pytest.mark.parametrize("running", [True, False])
def test_to_delete_forgets_an_answer_and_stops_it_first(
    upstream: Asked, server: Server, api: str, running: bool
) -> None:
    path, events = ANSWERS[api]
    upstream.script(half(api) if running else stream(*events))
    with ask(server, api) as viewer:
        until(viewer, TEXTS[1])
        if not running:
            viewer.rest()
        deleted = call(server, "DELETE", path)
        assert deleted.answer == (
            200,
            {
                "id": path.rpartition("/")[2],
                "object": "response" if api == "responses" else "chat.completion.deleted",
                "deleted": True,
            },
        )
        if running:
            assert b'"code":"expired"' in viewer.rest().data
            assert upstream.disconnected(upstream.request())
        link = viewer.fields["content-location"]
    for method in ("GET", "DELETE"):
        assert_missing(call(server, method, path))
    assert call(server, "GET", link).status == 404


# --- after a restart ----------------------------------------------------------------------------


@pytest.mark.parametrize(("api", "how"), [("responses", "kill"), ("chat", "terminate")])
def test_answers_are_found_by_their_ids_after_a_restart(
    upstream: Asked, tmp_path: Path, api: str, how: str
) -> None:
    path, _ = ANSWERS[api]
    upstream.script(half(api))
    with serving(upstream.base_url, tmp_path) as server, ask(server, api) as viewer:
        begun = until(viewer, TEXTS[1])
        # What is acknowledged after it is durable, so it is.
        assert call(server, "PUT", "/streams/later").status == 201
        getattr(server, how)()
    with serving(upstream.base_url, tmp_path) as heir:
        got = call(heir, "GET", path)
        assert got.fields["stream-ending"] == "interrupted"
        assert said(got.json) == TEXTS[0] + TEXTS[1]
        assert got.json["error"]["message"]
        if api == "responses":
            assert got.json["status"] == "failed"
        again = blocks_of(fetch(heir, f"{path}?stream=true").data)
        assert again[:-1] == blocks_of(begun)
        assert b'"code":"interrupted"' in again[-1]
        for number in range(len(again) + 1):
            rest = b"".join(again[number + 1 :]) or again[-1]
            assert Got(after(heir, path, number)).body == (rest, True)
        assert call(heir, "DELETE", path).json["deleted"] is True
    with serving(upstream.base_url, tmp_path) as heir:
        assert_missing(call(heir, "GET", path))


# --- with a token -------------------------------------------------------------------------------

TOKEN = "token-6c1f"
BEARER, API_KEY = ("Authorization", f"Bearer {TOKEN}"), ("x-api-key", TOKEN)


@pytest.fixture(scope="module")
def guarded(
    scripted: ThreadedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    env = {"TAILRACE_TOKEN": TOKEN, "TAILRACE_UPSTREAM_API_KEY": "sk-upstream"}
    with serving(scripted.base_url, tmp_path_factory.mktemp("guarded"), env=env) as ours:
        yield ours


@pytest.mark.parametrize(
    ("field", "apis"),
    [(BEARER, ("chat", "completions", "responses")), (API_KEY, ("messages",))],
)
def test_with_a_token_each_api_takes_it_where_its_sdk_puts_the_key_and_refuses_in_its_shape(
    upstream: Asked, guarded: Server, field: tuple[str, str], apis: tuple[str, ...]
) -> None:
    for number, api in enumerate(apis, 1):
        for wrong in ([], [(field[0], field[1][:-1])]):
            refused = Got(ask(guarded, api, *wrong))
            assert refused.status == 401
            error = refused.json["error"]
            assert error["type"] == "authentication_error"
            assert refused.json.get("type") == ("error" if api == "messages" else None)
            more = set() if api == "messages" else {"code", "param"}
            assert error.keys() == {"type", "message", *more}
        upstream.script(stream(*APIS[api].answer(TEXTS, "m").events))
        assert Got(ask(guarded, api, field)).body.whole
        assert len(upstream.requests) == number
        shown = str(upstream.request(number).headers)
        assert TOKEN not in shown
        assert "sk-upstream" in shown


@BOTH
def test_with_a_token_nobody_else_reads_stops_or_deletes_by_an_id(
    upstream: Asked, guarded: Server, api: str
) -> None:
    path, _ = ANSWERS[api]
    upstream.script(half(api))
    calls = [
        ("GET", path),
        ("GET", f"{path}?stream=true"),
        ("POST", f"{path}/cancel"),
        ("DELETE", path),
        ("GET", f"{path}0"),
    ]
    with ask(guarded, api, BEARER) as viewer:
        until(viewer, TEXTS[1])
        for method, target in calls:
            refused = call(guarded, method, target)
            assert (refused.status, refused.json["error"]["code"]) == (401, "unauthorized")
        assert len(upstream.requests) == 1
        assert said(call(guarded, "GET", path, BEARER).json) == TEXTS[0] + TEXTS[1]
        assert said(call(guarded, "GET", path, API_KEY).json) == TEXTS[0] + TEXTS[1]
        assert call(guarded, "DELETE", path, BEARER).status == 200
