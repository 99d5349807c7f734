"""An answer that breaks off and is gone on with, where somebody wants that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tailrace.testing.chunks import DONE, chat_chunks, chunk, role_chunk
from tailrace.testing.script import Cut, Head, Send, respond, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, fetch, serving, sse_events

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]
BODY = json.dumps({"model": "m", "messages": MESSAGES, "stream": True}).encode()
CONTINUE = ("Tailrace-Continue", "true")
RETRY = ("--retry-budget", "3s")
BROKEN = script(Head(), Send(role_chunk()), Send(chunk("Wasser ")), Send(chunk("läu")), Cut())
REST = stream(*chat_chunks(["ft", "."], model="another-model"))


def ask(server: Server, *headers: tuple[str, str]) -> Viewer:
    return Viewer(server, "POST", CHAT, [("Content-Type", "application/json"), *headers], BODY)


def chunks(body: bytes) -> list[dict[str, Any]]:
    blocks = [each[6:] for each in body.split(b"\n\n") if each.startswith(b"data: {")]
    return [json.loads(each) for each in blocks]


def test_a_broken_answer_goes_on_as_text_and_the_seam_is_marked(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *RETRY) as server:
        upstream.script(BROKEN, REST)
        with ask(server, CONTINUE) as viewer:
            body = viewer.head().rest()
            link = viewer.fields["content-location"]
        assert body.data.endswith(DONE)
        seen = chunks(body.data)
        text = "".join(each["choices"][0]["delta"].get("content") or "" for each in seen)
        assert text == "Wasser läuft."
        assert {(each["id"], each["model"]) for each in seen} == {(seen[0]["id"], "test-model")}
        assert seen[-1]["choices"][0]["finish_reason"] == "stop"
        asked = upstream.request(2).json()["messages"]
        assert asked == [*MESSAGES, {"role": "assistant", "content": "Wasser läu"}]
        assert fetch(server, f"{link}?view=text") == ("Wasser läuft.".encode(), True)
        events = sse_events(fetch(server, f"{link}?view=sse").data)
        (seam,) = (event for event in events if event.type == "seam")
        assert json.loads(seam.data) == {
            "reason": "The upstream's connection broke.",
            "upstream": "default",
        }
        note = json.loads(fetch(server, "/streams?prefix=chat/").data)["streams"][0]["note"]
        assert (note["seams"], note["attempts"]) == (1, 2)


def test_an_error_in_mid_answer_is_gone_on_from_too_and_not_shown(tmp_path: Path) -> None:
    error = b'data: {"error":{"message":"overloaded"}}\n\n'
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *RETRY) as server:
        upstream.script(script(Head(), Send(chunk("a")), Send(error)), stream(chunk("b"), DONE))
        with ask(server, CONTINUE) as viewer:
            body = viewer.head().rest()
    assert b"overloaded" not in body.data
    assert [each["choices"][0]["delta"]["content"] for each in chunks(body.data)] == ["a", "b"]
    assert body.data.endswith(DONE)


def test_where_nobody_goes_on_it_ends_as_it_broke_off(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *RETRY) as server:
        upstream.script(BROKEN, *[respond(400, b"{}")])
        with ask(server, CONTINUE) as viewer:
            body = viewer.head().rest()
            link = viewer.fields["content-location"]
        assert b'"code":"cut"' in body.data
        assert b"event: seam" not in fetch(server, f"{link}?view=sse").data


def test_what_is_more_than_text_ends_as_it_broke_off(tmp_path: Path) -> None:
    tools = chunk(delta={"tool_calls": [{"index": 0, "function": {"name": "f"}}]})
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, *RETRY) as server:
        upstream.script(script(Head(), Send(chunk("a")), Send(tools), Cut()))
        with ask(server, CONTINUE) as viewer:
            assert b'"code":"cut"' in viewer.head().rest().data
        assert len(upstream.requests) == 1


def test_nobody_asks_for_the_rest_who_does_not_want_it(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream:
        flags = (*RETRY, "--continue-answers", "true")
        with serving(upstream.base_url, tmp_path, *flags) as server:
            upstream.script(BROKEN)
            with ask(server, ("Tailrace-Continue", "false")) as viewer:
                assert b'"code":"cut"' in viewer.head().rest().data
            with ask(server, ("Tailrace-Continue", "perhaps")) as wrong:
                assert wrong.head().status == 400
            assert len(upstream.requests) == 1
            upstream.script(BROKEN, REST)
            with ask(server) as viewer:
                assert viewer.head().rest().data.endswith(DONE)
