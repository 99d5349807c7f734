"""Bad input of clients and of upstreams: each gets its answer, and nothing else is disturbed.

One long answer runs through all of it, and is whole at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from tailrace.testing.chunks import DONE, chat_chunks, chunk
from tailrace.testing.faults import FAULTS, fault_scripts
from tailrace.testing.script import Script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, fetch, get, serving

COMPLETIONS = "/v1/chat/completions"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
LIMIT = 64 * 1024
WORDS = ["The ", "long ", "answer."]


@dataclass
class Running:
    """A server in which an answer is running."""

    server: Server
    upstream: ThreadedUpstream
    link: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Torn down by letting the long answer end, and looking at it."""
    flags = ("--max-body", str(LIMIT), "--first-byte-timeout", "1")
    with (
        ThreadedUpstream(scripts=fault_scripts()) as upstream,
        serving(upstream.base_url, tmp_path_factory.mktemp("bad"), *flags) as server,
    ):
        upstream.script(stream(*map(chunk, WORDS), DONE, gate="long"))
        upstream.admit("long")
        with get(server, "/stream?content=Hi") as viewer:
            assert viewer.until(lambda data: data == b"The ")
            yield Running(server, upstream, viewer.fields["content-location"])
            upstream.open("long")
            assert viewer.rest() == (b"long answer.", True)
        assert "Traceback" not in server.output


class Answer(NamedTuple):
    """A response, read whole."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    running: Running, method: str, target: str, *fields: tuple[str, str], body: bytes = b""
) -> Answer:
    with Viewer(running.server, method, target, fields, body).head() as viewer:
        # What is no refusal may be a stream that does not end while the long answer runs.
        data = b"" if viewer.status == 200 else viewer.rest().data
        return Answer(viewer.status, viewer.fields, data)


def assert_error(answer: Answer, status: int, code: str, target: str) -> str:
    """``answer`` is an error in the shape that clients of ``target`` know; returns its words."""
    assert answer.status == status, answer
    assert answer.fields["cache-control"] == "no-store"
    if target.startswith("/v1/"):
        assert answer.fields["content-type"] == "application/json"
        error = answer.json["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["code"] == code
        return str(error["message"])
    assert answer.fields["content-type"] == "application/problem+json"
    assert answer.json.keys() == {"title", "status", "detail", "code"}
    assert (answer.json["status"], answer.json["code"]) == (status, code)
    return str(answer.json["detail"])


def asked(running: Running) -> int:
    return len(running.upstream.requests)


# --- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/stream", COMPLETIONS])
def test_a_body_that_announces_too_much_is_refused_before_it_is_read(
    running: Running, target: str
) -> None:
    before = asked(running)
    fields = (JSON, ("Content-Length", str(LIMIT + 1)))
    words = assert_error(ask(running, "POST", target, *fields), 413, "body_too_large", target)
    assert str(LIMIT) in words
    assert asked(running) == before


@pytest.mark.parametrize("target", ["/stream", COMPLETIONS])
def test_a_body_that_grows_too_large_is_refused_while_it_comes(
    running: Running, target: str
) -> None:
    before = asked(running)
    fields = (JSON, ("Transfer-Encoding", "chunked"))
    with Viewer(running.server, "POST", target, fields) as viewer:
        for _ in range(2):
            viewer.socket.sendall(b"%x\r\n%b\r\n" % (LIMIT, b" " * LIMIT))
        viewer.head()
        answer = Answer(viewer.status, viewer.fields, viewer.rest().data)
    assert_error(answer, 413, "body_too_large", target)
    assert asked(running) == before


@pytest.mark.parametrize("target", ["/stream", COMPLETIONS])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"content": "Hi",\n "x": }', "line 2, column 7"),
        (b'{"content": "Hi"', "line 1, column 17"),
        (b"content=Hi", "line 1, column 1"),
        (b'{"x": NaN}', "NaN"),
        (b'{"x": "\xff"}', "byte 7"),
        (b"[1]", "JSON object"),
        (b"[" * 20_000, "too deeply"),
    ],
)
def test_broken_json_is_refused_and_where_it_breaks_is_said(
    running: Running, target: str, body: bytes, says: str
) -> None:
    before = asked(running)
    answer = ask(running, "POST", target, JSON, body=body)
    assert says in assert_error(answer, 400, "bad_request", target)
    assert asked(running) == before


@pytest.mark.parametrize(
    ("fields", "body", "status", "code"),
    [
        ((JSON,), b"{}", 400, "bad_request"),
        ((JSON,), b'{"content":""}', 400, "bad_request"),
        ((JSON,), b'{"content":1}', 400, "bad_request"),
        ((JSON,), b'{"content":"a","content":"b"}', 400, "bad_request"),
        ((JSON,), b'{"content":"a","temperature":"hot"}', 400, "bad_request"),
        ((FORM,), b"text=Hi", 400, "bad_request"),
        ((FORM,), b"content=Hi&temperature=hot", 400, "bad_request"),
        ((("Content-Type", "text/plain"),), b"Hi", 415, "unsupported_media_type"),
        ((("Content-Type", "multipart/form-data; boundary=a"),), b"Hi", 415,
         "unsupported_media_type"),
        ((), b"content=Hi", 415, "unsupported_media_type"),
    ],
)  # fmt: skip
def test_a_body_without_a_question_is_refused(
    running: Running, fields: tuple[tuple[str, str], ...], body: bytes, status: int, code: str
) -> None:
    before = asked(running)
    assert_error(ask(running, "POST", "/stream", *fields, body=body), status, code, "/stream")
    assert asked(running) == before


@pytest.mark.parametrize("query", ["", "?", "?content=", "?text=Hi", "?content=%zz",
                                   "?content=Hi&temperature=nan"])  # fmt: skip
def test_a_url_without_a_question_is_refused(running: Running, query: str) -> None:
    before = asked(running)
    target = f"/stream{query}"
    assert_error(ask(running, "GET", target), 400, "bad_request", target)
    assert asked(running) == before


# --- methods, sizes, places -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/", {"GET", "HEAD"}),
        ("/health", {"GET", "HEAD"}),
        ("/stream", {"GET", "POST"}),
        (COMPLETIONS, {"GET", "POST"}),
        ("/v1/models", {"GET"}),
        ("/streams", {"GET"}),
        ("/streams/chat/x", {"GET", "HEAD", "PUT", "POST", "DELETE"}),
        ("/streams/other", {"GET", "HEAD", "PUT", "POST", "DELETE"}),
    ],
)
def test_a_method_that_a_route_lacks_gets_405_and_those_it_has(
    running: Running, target: str, allowed: set[str]
) -> None:
    before = asked(running)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - allowed:
        answer = ask(running, method, target)
        assert_error(answer, 405, "method_not_allowed", target)
        assert set(answer.fields["allow"].split(", ")) == allowed
    assert asked(running) == before


def test_a_url_and_headers_have_limits(running: Running) -> None:
    before = asked(running)
    long = "/stream?content=" + "a" * 70_000
    assert_error(ask(running, "GET", long), 414, "uri_too_long", long)
    large = ("X-Large", "a" * 70_000)
    for target in ("/stream?content=Hi", "/v1/models"):
        assert_error(ask(running, "GET", target, large), 431, "headers_too_large", target)
        many = [(f"X-{n}", "a") for n in range(300)]
        assert_error(ask(running, "GET", target, *many), 431, "headers_too_large", target)
    assert asked(running) == before


def test_places_and_views_that_are_none_are_refused(running: Running) -> None:
    link = running.link
    with get(running.server, "/stream?content=Hi") as viewer:
        assert viewer.rest().whole
        other = viewer.fields["content-location"].rpartition("/")[2]
    for status, code, target in [
        (404, "not_found", "/streams/chat/nothing"),
        (404, "not_found", f"{link}0"),
        (404, "not_found", "/nothing"),
        (404, "not_found", "/v1/"),
        (400, "bad_request", "/v1/files/../x"),
        (410, "offset_gone", f"{link}?offset={other}_{1:016d}"),
        (400, "malformed_offset", f"{link}?offset=1"),
        (400, "malformed_offset", f"{link}?offset="),
        (400, "malformed_offset", f"{link}?offset=%00"),
        (400, "malformed_offset", f"{link}?offset=-1&offset=-1"),
        (400, "malformed_offset", f"{link}?offset={other}_{1:017d}"),
        (400, "bad_request", f"{link}?view=nothing"),
        (400, "bad_request", "/streams?limit=0"),
        (400, "bad_request", "/streams?limit=many"),
    ]:
        assert_error(ask(running, "GET", target), status, code, target)
    answer = ask(running, "GET", link, ("Last-Event-ID", "nonsense"))
    assert_error(answer, 400, "malformed_offset", link)
    answer = ask(running, "GET", link, ("Last-Event-ID", f"{other}_{1:016d}"))
    assert_error(answer, 410, "offset_gone", link)


# --- upstreams --------------------------------------------------------------------------------

REFUSALS = ["400", "401", "429", "500", "503", "502-html"]
NO_STREAMS = ["html", "gzip", "not-http", "garbage", "closes", "resets", "half-a-head",
              "endless-head"]  # fmt: skip


def completion_of(script: str) -> bytes:
    message = {"role": "user", "content": "Hi"}
    return json.dumps({"model": f"script:{script}", "messages": [message], "stream": True}).encode()


@pytest.mark.parametrize("name", [*REFUSALS, "307"])
def test_an_upstream_that_refuses_is_502_on_stream(running: Running, name: str) -> None:
    target = f"/stream?content=Hi&model=script:{name}"
    words = assert_error(ask(running, "GET", target), 502, "upstream_refused", target)
    assert name[:3] in words


@pytest.mark.parametrize("name", REFUSALS)
def test_an_upstream_that_refuses_is_passed_on_as_it_is_on_v1(running: Running, name: str) -> None:
    answer = ask(running, "POST", COMPLETIONS, JSON, body=completion_of(name))
    script = FAULTS[name].script
    assert isinstance(script, Script)
    head, body = script.steps
    assert answer.status == head.status  # type: ignore[union-attr]
    assert answer.body == body.data  # type: ignore[union-attr]
    for field, value in head.headers:  # type: ignore[union-attr]
        assert answer.fields[field] == value


@pytest.mark.parametrize("name", [*NO_STREAMS, "json", "no-content"])
def test_an_upstream_that_makes_no_sense_is_502_on_stream(running: Running, name: str) -> None:
    target = f"/stream?content=Hi&model=script:{name}"
    answer = ask(running, "GET", target)
    assert answer.json["code"] in ("upstream_broken", "upstream_unreachable", "upstream_refused")
    assert_error(answer, 502, answer.json["code"], target)


@pytest.mark.parametrize("name", [name for name in NO_STREAMS if name != "html"])
def test_an_upstream_that_makes_no_sense_is_502_on_v1(running: Running, name: str) -> None:
    answer = ask(running, "POST", COMPLETIONS, JSON, body=completion_of(name))
    assert answer.json["error"]["code"] in ("upstream_broken", "upstream_unreachable")
    assert_error(answer, 502, answer.json["error"]["code"], COMPLETIONS)


def test_an_upstream_that_never_begins_is_504(running: Running) -> None:
    target = "/stream?content=Hi&model=script:stall-head"
    assert_error(ask(running, "GET", target), 504, "upstream_timeout", target)
    answer = ask(running, "POST", COMPLETIONS, JSON, body=completion_of("stall-head"))
    assert_error(answer, 504, "upstream_timeout", COMPLETIONS)


@pytest.mark.parametrize("name", [*REFUSALS, *NO_STREAMS])
def test_an_event_source_is_told_in_the_stream(running: Running, name: str) -> None:
    target = f"/stream?content=Hi&model=script:{name}"
    with get(running.server, target, ("Accept", "text/event-stream")) as viewer:
        assert viewer.status == 200
        body = viewer.rest()
    assert body.whole
    assert b"event: stream\n" in body.data
    assert b"event: error\n" in body.data
    assert b'"ending": "failed"' in body.data
    assert b"[DONE]" not in body.data


def test_the_next_question_is_answered_after_all_of_it(running: Running) -> None:
    running.upstream.add("good", stream(*chat_chunks(["fine"])))
    assert fetch(running.server, "/stream?content=Hi&model=script:good") == (b"fine", True)
    assert fetch(running.server, "/health").whole
