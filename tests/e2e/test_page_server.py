"""What the page needs of the server, over real sockets: as our protocol and as plain ASGI."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailrace.testing.chunks import DONE, chunk
from tailrace.testing.script import STALL, Head, Send, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import (
    PLAIN,
    WITHIN,
    Server,
    SseEvent,
    Viewer,
    fetch,
    get,
    serving,
    sse_events,
    wait_for,
)

JSON = ("Content-Type", "application/json")
ASYNC = ("Prefer", "respond-async")
CLOSE = ("Stream-Closed", "true")
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture(params=["ours", "plain"])
def env(request: pytest.FixtureRequest) -> dict[str, str]:
    """Which way to the client the server takes."""
    return {PLAIN: "true"} if request.param == "plain" else {}


def put(server: Server, name: str, *headers: tuple[str, str], body: bytes = b"") -> None:
    with Viewer(server, "PUT", f"/streams/{name}", [JSON, *headers], body) as viewer:
        assert viewer.head().status == 201


def append(server: Server, name: str, *values: object, close: bool = False) -> None:
    headers = [JSON, CLOSE] if close else [JSON]
    body = json.dumps(values).encode()
    with Viewer(server, "POST", f"/streams/{name}", headers, body) as viewer:
        assert viewer.head().status == 204


def follow(
    server: Server,
    streams: dict[str, str],
    *headers: tuple[str, str],
    overview: bool = False,
    receive_buffer: int = 0,
) -> Viewer:
    wish = {
        "streams": [{"name": name, "offset": offset} for name, offset in streams.items()],
        "overview": overview,
    }
    body = json.dumps(wish).encode()
    viewer = Viewer(
        server, "POST", "/page/follow", [JSON, *headers], body, receive_buffer=receive_buffer
    )
    return viewer.head()


def ask(server: Server, *headers: tuple[str, str], content: str = "Hi") -> Viewer:
    asked = {"model": "m", "messages": [{"role": "user", "content": content}], "stream": True}
    body = json.dumps(asked).encode()
    return Viewer(server, "POST", "/v1/chat/completions", [JSON, ASYNC, *headers], body)


def told(viewer: Viewer) -> dict[str, str]:
    assert viewer.head().status == 202, viewer.rest()
    answer: dict[str, str] = json.loads(viewer.rest().data)
    return answer


def events(viewer: Viewer, count: int) -> list[SseEvent]:
    """The next events, of which there are so many."""
    found = sse_events(viewer.until(lambda data: data.count(b"\n\n") >= count))
    assert len(found) == count
    return found


def data_of(generation: str, found: list[SseEvent]) -> list[str]:
    return [e.data for e in found if e.id.startswith(generation) and e.type == "message"]


# --- following --------------------------------------------------------------------------------


def test_two_streams_come_live_in_one_response(tmp_path: Path, env: dict[str, str]) -> None:
    with serving(NOBODY, tmp_path, env=env) as server:
        put(server, "a", body=b"[0]")
        put(server, "b")
        with follow(server, {"a": "-1", "b": "-1"}) as viewer:
            assert viewer.fields["content-type"] == "text/event-stream"
            assert "no-transform" in viewer.fields["cache-control"]
            first, second, was = events(viewer, 3)
            a, b = (json.loads(event.data)["generation"] for event in (first, second))
            assert (was.data, was.id) == ("0", f"{a}_{1:016d}")
            append(server, "b", 1)
            assert events(viewer, 1) == [SseEvent(f"{b}_{1:016d}", "message", "1")]
            append(server, "a", 2)
            assert events(viewer, 1) == [SseEvent(f"{a}_{2:016d}", "message", "2")]
            append(server, "a", 3, close=True)
            last, end = events(viewer, 2)
            assert (last.data, end.type, end.id) == ("3", "end", f"{a}_{4:016d}")
            assert json.loads(end.data)["ending"] == "completed"
            append(server, "b", 4)
            assert data_of(b, events(viewer, 1)) == ["4"]
            with Viewer(server, "DELETE", "/streams/b") as deleted:
                assert deleted.head().status == 204
            body = viewer.rest()
            assert body.whole
            assert json.loads(sse_events(body.data)[0].data)["ending"] == "expired"


def test_asking_again_from_its_places_loses_nothing_and_doubles_nothing(
    tmp_path: Path, env: dict[str, str]
) -> None:
    names = ("a", "b", "c")
    with serving(NOBODY, tmp_path, "--window", "4KiB", env=env) as server:
        for name in names:
            put(server, name)

        def fill() -> None:
            for n in range(0, 300, 3):
                for name in names:
                    append(server, name, *range(n, n + 3), close=n == 297)

        filling = threading.Thread(target=fill)
        filling.start()
        places = dict.fromkeys(names, "-1")
        generations: dict[str, str] = {}
        got: dict[str, list[str]] = {name: [] for name in names}
        ended: set[str] = set()
        responses = 0
        while len(ended) < len(names):
            with follow(server, {n: places[n] for n in names if n not in ended}) as viewer:
                responses += 1
                enough = 40 * responses
                found = sse_events(viewer.until(lambda d: len(d) > enough or b": end" in d))  # noqa: B023
            for event in found:
                if event.type == "stream":
                    described = json.loads(event.data)
                    generations[described["generation"]] = described["name"]
                    continue
                name = generations[event.id[:26]]
                places[name] = event.id
                if event.type == "end":
                    ended.add(name)
                else:
                    got[name].append(event.data)
        filling.join()
        assert responses > 5
        assert got == {name: [str(n) for n in range(300)] for name in names}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_client_that_does_not_read_costs_its_place_and_delays_nobody(
    tmp_path: Path, env: dict[str, str]
) -> None:
    names = [f"s{n}" for n in range(20)]
    piece = "x" * 10_000
    with serving(NOBODY, tmp_path, "--window", "16KiB", env=env) as server:
        for name in names:
            put(server, name)
        places = dict.fromkeys(names, "-1")
        stuck = [follow(server, places, overview=True, receive_buffer=4096) for _ in range(10)]
        before = server.memory()
        with follow(server, places) as swift:
            for n in range(20):
                for name in names:
                    append(server, name, f"{n} {piece}", close=n == 19)
            body = swift.rest()
            assert body.whole
        grown = server.memory() - before
        # Of 4 MB for each of ten: what the transports hold, and what was kept of the streams.
        assert grown < 15e6, grown
        found = sse_events(stuck[0].until(lambda data: data.count(b": end\n") == len(names)))
        for viewer in stuck:
            viewer.leave()
        generations = {json.loads(e.data)["generation"] for e in found if e.type == "stream"}
        for generation in generations:
            assert [d.split()[0] for d in data_of(generation, found)] == [
                f'"{n}' for n in range(20)
            ]


def test_what_has_ended_and_what_is_not_there(tmp_path: Path, env: dict[str, str]) -> None:
    with serving(NOBODY, tmp_path, env=env) as server:
        put(server, "done", CLOSE, body=b"[1]")
        with follow(server, {"none": "-1", "done": "-1"}) as viewer:
            body = viewer.rest()
        assert body.whole
        found = sse_events(body.data)
        assert [event.type for event in found] == ["gone", "stream", "message", "end"]
        assert json.loads(found[0].data)["name"] == "none"
        with follow(server, {}) as viewer:
            assert viewer.rest() == (b"", True)


def test_silence_is_broken_by_one_heartbeat(tmp_path: Path, env: dict[str, str]) -> None:
    with serving(NOBODY, tmp_path, "--heartbeat", "1s", env=env) as server:
        for name in "abc":
            put(server, name)
        with follow(server, dict.fromkeys("abc", "now")) as viewer:
            events(viewer, 3)
            assert viewer.chunk() == b": ping\n\n"
            append(server, "a", 1)
            assert b"data: 1" in viewer.until(lambda data: b"data" in data)


def test_a_server_that_goes_away_lets_its_pages_go(tmp_path: Path, env: dict[str, str]) -> None:
    with serving(NOBODY, tmp_path, env=env) as server:
        put(server, "a")
        with follow(server, {"a": "-1"}, overview=True) as viewer:
            viewer.until(lambda data: b"event: overview" in data)
            began = time.monotonic()
            assert server.terminate() == 0
            assert b"retry: " in viewer.rest().data
            assert time.monotonic() - began < WITHIN / 3


# --- the overview -----------------------------------------------------------------------------


def overviews(viewer: Viewer) -> Iterator[dict[str, object]]:
    while True:
        body = viewer.until(lambda data: data.endswith(b"\n\n") and b": overview" in data)
        for event in sse_events(body):
            if event.type == "overview":
                yield json.loads(event.data)


def test_the_overview_has_what_runs_and_what_the_server_costs(
    tmp_path: Path, env: dict[str, str]
) -> None:
    answer = stream(*map(chunk, "abcdef"), DONE, gate="token")
    with ThreadedUpstream(answer) as upstream, serving(upstream.base_url, tmp_path, env=env) as s:
        put(s, "mine", CLOSE, body=b"[1,2]")
        with follow(s, {}, overview=True) as page, follow(s, {}, overview=True) as other:
            said = overviews(page)
            first = next(said)
            assert first["total"] == {"streams": 1, "bytes": 2}
            with ask(s) as asked:
                name = told(asked)["stream"]
            upstream.admit("token", 3)
            with get(s, f"/streams/{name}?view=sse"):
                running = _until(said, name, lambda each: each["viewers"] == 1)
                assert running["events"] == 3 or _until(said, name, lambda e: e["events"] == 3)
                upstream.admit("token", 2)
                assert _until(said, name, lambda each: float(str(each["rate"])) > 0)
            assert running["ending"] is None
            assert running["source"] == "relay"
            upstream.open("token")
            ended = _until(said, name, lambda each: each["ending"] and each["note"])
            assert json.loads(json.dumps(ended["ending"]))["kind"] == "completed"
            server = next(said)["server"]
            assert isinstance(server, dict)
            assert 0 <= server["cpu"] < 4
            assert server["memory"] > 10_000_000
            assert server["uptime"] > 0
            # One look for all: they have the same, to the byte.
            assert next(overviews(other)) == first


def _until(said: Iterator[dict[str, object]], name: str, true: object) -> dict[str, object]:
    assert callable(true)
    deadline = time.monotonic() + WITHIN
    for overview in said:
        assert time.monotonic() < deadline
        streams = overview["streams"]
        assert isinstance(streams, list)
        for each in streams:
            if each["name"] == name and true(each):
                found: dict[str, object] = each
                return found
    raise AssertionError


def test_an_overview_of_which_nothing_changed_comes_every_five_seconds(tmp_path: Path) -> None:
    with (
        serving(NOBODY, tmp_path) as server,
        follow(server, {}, overview=True) as page,
    ):
        said = overviews(page)
        first, second = next(said), next(said)
        assert 4000 < int(str(second["time"])) - int(str(first["time"])) < 8000
        assert first["streams"] == second["streams"] == []


# --- asking without waiting -------------------------------------------------------------------


def test_who_prefers_it_is_told_the_address_before_the_upstream_said_a_word(
    tmp_path: Path, env: dict[str, str]
) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, env=env) as server:
        upstream.script(script(STALL, *stream(chunk("a"), DONE).steps))
        with ask(server) as viewer:
            answer = told(viewer)
            assert viewer.fields["preference-applied"] == "respond-async"
            assert viewer.fields["content-location"] == answer["url"]
        upstream.request()
        upstream.open("stall")
        with follow(server, {answer["stream"]: answer["offset"]}) as page:
            found = sse_events(page.rest().data)
        assert found[0].type == "stream"
        assert '"content":"a"' in found[1].data
        assert found[-1].type == "end"
        assert "prefer" not in {name.lower() for name, _ in upstream.request().headers}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/messages", {"messages": [], "max_tokens": 9}),
    ],
)
def test_every_api_that_streams_does_it(
    tmp_path: Path, path: str, asked: dict[str, object]
) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        body = json.dumps({"model": "m", "stream": True, **asked}).encode()
        with Viewer(server, "POST", path, [JSON, ("Prefer", "wait=1, Respond-Async")], body) as v:
            link = told(v)["url"]
        assert b'"ending": "completed"' in fetch(server, f"{link}?view=sse").data
        with Viewer(server, "POST", path, [JSON, ("Prefer", "wait=1")], body) as other:
            assert other.head().status == 200


def test_what_goes_wrong_is_said_in_the_stream(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(script(Head(401), Send(b'{"error":{"message":"no"}}')))
        with ask(server) as viewer:
            link = told(viewer)["url"]
        found = sse_events(fetch(server, f"{link}?view=sse").data)
        assert [event.type for event in found] == ["error", "end"]
        assert json.loads(found[1].data)["ending"] == "failed"
        # What is wrong with the request itself is refused as ever.
        with ask(server, ("Tailrace-Disconnect", "nonsense")) as viewer:
            assert viewer.head().status == 400


def test_a_key_gets_the_same_address_again(tmp_path: Path) -> None:
    key = ("Idempotency-Key", "k")
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(stream(chunk("a"), DONE, gate="token"))
        with ask(server, key) as one:
            first = told(one)
        upstream.admit("token")
        with ask(server, key) as two:
            assert told(two) == first
            assert two.fields["idempotency-replayed"] == "true"
        upstream.open("token")
        assert b'"completed"' in fetch(server, f"{first['url']}?view=sse").data
        with ask(server, key) as late:
            assert told(late) == first
        assert len(upstream.requests) == 1


def test_leaving_means_then_what_it_means_otherwise(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(*[script(Head(), Send(chunk("a")), STALL)] * 2)
        with ask(server, ("Tailrace-Disconnect", "keep=1")) as kept:
            told(kept)
        assert upstream.disconnected(upstream.request(1))
        with ask(server, ("Tailrace-Disconnect", "cancel")) as asked:
            answer = told(asked)
        time.sleep(0.2)
        assert not upstream.request(2).left
        with follow(server, {answer["stream"]: "-1"}) as page:
            events(page, 2)
        assert upstream.disconnected(upstream.request(2))


def test_an_address_that_was_told_outlives_the_server(tmp_path: Path) -> None:
    with ThreadedUpstream(script(STALL)) as upstream:
        with serving(upstream.base_url, tmp_path) as server:
            with ask(server) as viewer:
                answer = told(viewer)
            server.kill()
        with (
            serving(upstream.base_url, tmp_path) as server,
            follow(server, {answer["stream"]: answer["offset"]}) as page,
        ):
            end = sse_events(page.rest().data)[-1]
            assert json.loads(end.data)["ending"] == "interrupted"


# --- the page itself, and who may use it ------------------------------------------------------


def test_the_page_is_sent_under_its_policy_and_nothing_else_is(
    tmp_path: Path, env: dict[str, str]
) -> None:
    with serving(NOBODY, tmp_path, env=env) as server:
        for path in ("/page", "/page/", "/page/chat/1", "/page/wire/%3Cb%3E"):
            with get(server, path, ("Accept", "text/html")) as viewer:
                assert (
                    f"script-src {server.host}:{server.port}/page/assets/;"
                    in (viewer.fields["content-security-policy"])
                )
                assert viewer.fields["x-content-type-options"] == "nosniff"
                assert viewer.fields["referrer-policy"] == "no-referrer"
                assert viewer.fields["cross-origin-opener-policy"] == "same-origin"
                viewer.rest()
        for path in (
            "/page/assets/../../../pyproject.toml",
            "/page/assets/%2e%2e/%2e%2e/server/page.py",
            "/page/assets/..%5c..%5cpage.py",
            "/page/../server/page.py",
        ):
            body = fetch(server, path).data
            assert b"Tailrace developers" not in body
            assert b"import" not in body


OWN = ("Sec-Fetch-Site", "same-origin")


def test_our_own_page_may_do_all_and_another_nothing(tmp_path: Path) -> None:
    name = "/streams/conversations/1"
    with serving(NOBODY, tmp_path) as server:
        own = [("Origin", server.url), OWN]
        foreign = [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")]
        for method, target, body, status in (
            ("PUT", name, b"[1]", 201),
            ("POST", name, b"[2]", 204),
            ("GET", "/streams", b"", 200),
            ("POST", "/page/follow", b"{}", 200),
            ("DELETE", name, b"", 204),
        ):
            for headers, expected in ((foreign, 403), (own, status)):
                with Viewer(server, method, target, [JSON, *headers], body) as viewer:
                    assert viewer.head().status == expected, (method, target, headers)
                    viewer.rest()
        put(server, "conversations/2", CLOSE, body=b"[1]")
        # GET of the own origin has no Origin.
        events_only = ("Accept", "text/event-stream")
        assert b"event: end" in fetch(server, "/streams/conversations/2", OWN, events_only).data


def test_with_a_token_the_page_comes_and_follows_with_it_alone(tmp_path: Path) -> None:
    with serving(NOBODY, tmp_path, env={"TAILRACE_TOKEN": "t" * 32}) as server:
        own = [("Origin", server.url), OWN]
        with get(server, "/page/") as viewer:
            assert "content-security-policy" in viewer.fields
            viewer.rest()
        with follow(server, {}, *own) as viewer:
            assert viewer.status == 401
        with follow(server, {}, *own, ("Authorization", f"Bearer {'t' * 32}")) as viewer:
            assert viewer.status == 200


def test_following_does_not_leave_a_viewer_behind(tmp_path: Path, env: dict[str, str]) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, env=env) as server:
        upstream.script(script(Head(), Send(chunk("a")), STALL))
        with ask(server, ("Tailrace-Disconnect", "cancel")) as asked:
            answer = told(asked)
        pages = [follow(server, {answer["stream"]: "-1"}, overview=True) for _ in range(3)]
        for page in pages:
            page.until(lambda data: b"data: {" in data)
            assert not upstream.request().left
            page.leave()
        assert upstream.disconnected(upstream.request())
        wait_for(lambda: server.output.count("/page/follow 200") == len(pages))
