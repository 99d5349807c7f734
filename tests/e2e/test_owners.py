"""Ids repeat and are no secret: an answer by its API's id belongs to the credentials that asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tailrace.testing.script import Head, Script, Send, Wait, respond, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, fetch, serving
from tests.e2e.kept import CHATS, RESPONSES, Asked, Field, Got, call, post, said, until
from tests.e2e.test_kept_answers import assert_missing

ID = "chatcmpl-585"
ANSWER = f"{CHATS}/{ID}"
A, B, WRONG = (("Authorization", f"Bearer sk-{name}") for name in ("a", "b", "wrong"))
API_KEY_OF_A = ("x-api-key", "sk-a")


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
    with serving(scripted.base_url, tmp_path_factory.mktemp("owners")) as ours:
        yield ours


def chat(text: str, identity: str = ID) -> Script:
    """A chat that an upstream calls ``identity``."""
    said = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    first = {"id": identity, "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [
        f"data: {json.dumps({**first, 'choices': [choice]})}\n\n".encode()
        for choice in (said, {"index": 0, "delta": {}, "finish_reason": "stop"})
    ]
    return stream(*events, b"data: [DONE]\n\n")


def response(text: str, identity: str, *, gate: str = "") -> Script:
    """A Response that an upstream calls ``identity``."""
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"type": "message", "id": "m", "role": "assistant", "content": parts}
    whole = {"id": identity, "object": "response", "status": "completed", "output": [item]}
    begun = {**whole, "status": "in_progress", "output": []}
    events = [
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.completed", "sequence_number": 1, "response": whole},
    ]
    first, last = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
    return script(Head(), Send(first), Wait(gate), Send(last)) if gate else stream(first, last)


def ask(server: Server, *fields: Field, path: str = CHATS) -> Viewer:
    return post(server, path, *fields, model="m", stream=True)


def asked(server: Server, upstream: Asked, text: str, *fields: Field) -> str:
    """A whole chat; its link."""
    upstream.script(chat(text))
    got = Got(ask(server, *fields))
    assert text.encode() in got.body.data
    return got.fields["content-location"]


# --- whose it is --------------------------------------------------------------------------------


def test_of_two_answers_with_one_id_each_key_gets_its_own(upstream: Asked, server: Server) -> None:
    links = [asked(server, upstream, text, key) for text, key in (("Of A.", A), ("Of B.", B))]
    for key, text, link in zip((A, B), ("Of A.", "Of B."), links, strict=True):
        got = call(server, "GET", ANSWER, key)
        assert (said(got.json), got.fields["content-location"]) == (text, link)
        events = call(server, "GET", f"{ANSWER}?stream=true&starting_after=0", key)
        assert events.fields["content-location"] == link
    assert len(upstream.requests) == 2


def test_a_key_that_did_not_ask_gets_what_the_upstream_says_of_the_id(
    upstream: Asked, server: Server
) -> None:
    link = asked(server, upstream, "Of A.", A)
    for fields in ((WRONG,), (), (API_KEY_OF_A, WRONG)):
        for method, target in (
            ("GET", ANSWER),
            ("GET", f"{ANSWER}?stream=true"),
            ("GET", f"{ANSWER}?stream=true&starting_after=0"),
            ("DELETE", ANSWER),
        ):
            assert_missing(call(server, method, target, *fields))
    assert said(call(server, "GET", ANSWER, A).json) == "Of A."
    assert fetch(server, f"{link}?view=text").data == b"Of A."


def test_a_wrong_key_stops_no_answer(upstream: Asked, server: Server) -> None:
    path = f"{RESPONSES}/resp_1"
    upstream.script(response("Of A.", "resp_1", gate="rest"), respond(404, b"{}"))
    with ask(server, A, path=RESPONSES) as viewer:
        until(viewer, "response.created")
        assert call(server, "POST", f"{path}/cancel", WRONG).answer == (404, {})
        assert call(server, "GET", path, A).json["status"] == "in_progress"
        assert call(server, "POST", f"{path}/cancel", A).json["status"] == "cancelled"


def test_to_delete_by_an_id_erases_the_own_answer_only(upstream: Asked, server: Server) -> None:
    of_a = asked(server, upstream, "Of A.", A)
    of_b = asked(server, upstream, "Of B.", B)
    assert call(server, "DELETE", ANSWER, A).status == 200
    assert call(server, "GET", of_a).status == 404
    assert said(call(server, "GET", ANSWER, B).json) == "Of B."
    assert fetch(server, f"{of_b}?view=text").data == b"Of B."
    assert_missing(call(server, "GET", ANSWER, A))


def test_one_answer_in_the_background_is_no_other_keys(upstream: Asked, server: Server) -> None:
    path = f"{RESPONSES}/resp_2"
    for text, key in (("Of A.", A), ("Of B.", B)):
        upstream.script(response(text, "resp_2"))
        begun = Got(post(server, RESPONSES, key, model="m", input="Hi", background=True))
        assert begun.json["id"] == "resp_2"
    for text, key in (("Of A.", A), ("Of B.", B)):
        # Its events are read to their end, and by then it is whole.
        assert call(server, "GET", f"{path}?stream=true", key).body.whole
        assert said(call(server, "GET", path, key).json) == text
    assert_missing(call(server, "GET", path))


def test_clients_without_credentials_are_one_user(upstream: Asked, server: Server) -> None:
    asked(server, upstream, "Of nobody.")
    assert said(call(server, "GET", ANSWER, ("User-Agent", "another")).json) == "Of nobody."
    assert_missing(call(server, "GET", ANSWER, WRONG))


def test_a_foreign_page_that_may_only_ask_reads_and_deletes_nothing_that_others_asked_for(
    upstream: Asked, tmp_path: Path
) -> None:
    """It needs no token to ask, and could try all the ids that there are."""
    page, other = (("Origin", f"https://{name}.example") for name in ("app", "other"))
    origins = f"{page[1]},{other[1]}"
    with serving(upstream.base_url, tmp_path, "--cors-origins", origins) as server:
        mine = asked(server, upstream, "Of mine.")
        own_page = ("Origin", server.url)
        for method in ("GET", "DELETE"):
            assert_missing(call(server, method, ANSWER, page))
        asked(server, upstream, "Of the page.", page)
        assert said(call(server, "GET", ANSWER, page).json) == "Of the page."
        assert_missing(call(server, "GET", ANSWER, other))
        for fields in ((), (own_page,)):
            got = call(server, "GET", ANSWER, *fields)
            assert (said(got.json), got.fields["content-location"]) == ("Of mine.", mine)


def test_where_a_key_gets_an_id_twice_the_latest_has_it_and_the_other_its_link(
    upstream: Asked, server: Server
) -> None:
    first = asked(server, upstream, "First.", A)
    second = asked(server, upstream, "Second.", A)
    assert said(call(server, "GET", ANSWER, A).json) == "Second."
    assert fetch(server, f"{first}?view=text").data == b"First."
    assert call(server, "DELETE", ANSWER, A).status == 200
    assert call(server, "GET", second).status == 404
    # Whether the upstream has one of that id, and which, is for the upstream to say.
    assert_missing(call(server, "GET", ANSWER, A))
    assert fetch(server, f"{first}?view=text").data == b"First."


def test_an_answer_still_is_its_keys_after_a_restart(upstream: Asked, tmp_path: Path) -> None:
    with serving(upstream.base_url, tmp_path) as server:
        asked(server, upstream, "Of A.", A)
        assert server.terminate() == 0
    with serving(upstream.base_url, tmp_path) as heir:
        assert said(call(heir, "GET", ANSWER, A).json) == "Of A."
        assert_missing(call(heir, "GET", ANSWER, B))
        assert heir.terminate() == 0
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"sk-a" not in kept


# --- ids that are hardly any --------------------------------------------------------------------


@pytest.mark.parametrize(
    "identity",
    ["a\ud800b", "a\x00b\r\nc", "../../streams", "é\U0001f600", "x" * 1024, "%00", "a b?c#d"],
    ids=["surrogate", "controls", "path", "unicode", "long", "escape", "spaces"],
)
def test_an_id_may_hold_anything_and_its_answer_is_kept(
    upstream: Asked, server: Server, identity: str
) -> None:
    upstream.script(chat("Said.", identity))
    with ask(server, A) as viewer:
        until(viewer, "Said.")
        link = viewer.fields["content-location"]
        assert viewer.rest().whole
    assert fetch(server, f"{link}?view=text") == (b"Said.", True)
    if not identity.isprintable() or "/" in identity:
        return
    assert said(call(server, "GET", f"{CHATS}/{quote(identity)}", A).json) == "Said."


def test_an_id_as_long_as_a_book_is_none(upstream: Asked, server: Server) -> None:
    upstream.script(chat("Said.", "x" * 1025))
    link = Got(ask(server, A)).fields["content-location"]
    assert_missing(call(server, "GET", f"{CHATS}/{'x' * 1025}", A))
    assert fetch(server, f"{link}?view=text").data == b"Said."
    assert "x" * 1025 not in server.output
