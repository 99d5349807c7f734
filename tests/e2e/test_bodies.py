"""Requests' bodies against a real server: what they may take of its memory and of its time.

To print what was measured:

    pytest tests/e2e/test_bodies.py -s
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tailrace.testing.chunks import role_chunk
from tailrace.testing.script import Head, Script, Send, Wait, respond
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.bounds import of_a_status, within_bounds
from tests.e2e.harness import Server, Viewer, serving, wait_for
from tests.wire.json.json_shapes import SHAPES

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

MIB = 1 << 20
SIZE = 2 * MIB
JSON = ("Content-Type", "application/json")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with (
        ThreadedUpstream(respond(200, b"{}", ("Content-Type", "application/json"))) as upstream,
        serving(upstream.base_url, tmp_path_factory.mktemp("data")) as server,
    ):
        assert send(server, "PUT", "/streams/json", b"") == 201
        yield server


def send(server: Server, method: str, target: str, body: bytes, *fields: tuple[str, str]) -> int:
    """The status of a whole request."""
    with Viewer(server, method, target, fields or [JSON], body) as viewer:
        viewer.head().rest()
        return viewer.status


def measured(server: Server, name: str, method: str, target: str, body: bytes,
             *fields: tuple[str, str]) -> int:  # fmt: skip
    """The status, once what the request took is known to be within its bounds."""
    with within_bounds(server, name, len(body)):
        return send(server, method, target, body, *fields)


def chat(shape: bytes) -> bytes:
    return b'{"model":"m","messages":%b}' % shape


@pytest.mark.parametrize("shape", SHAPES)
def test_json_of_any_shape_takes_eight_times_its_bytes_and_holds_up_nobody(
    server: Server, shape: str
) -> None:
    body = SHAPES[shape](SIZE)
    assert measured(server, f"append of {shape}", "POST", "/streams/json", body) == 204
    assert measured(server, f"chat of {shape}", "POST", "/v1/chat/completions", chat(body)) == 200


FORM = ("Content-Type", "application/x-www-form-urlencoded")
PROMPTS: dict[str, tuple[bytes, tuple[str, str]]] = {
    "a form of one emoji": (b"content=%b%%F0%%9F%%8C%%8A" % (b"a" * SIZE), FORM),
    "a form of escapes": (b"content=" + b"%41" * (SIZE // 3), FORM),
    "a form of bad bytes": (b"content=" + b"\xff" * SIZE, FORM),
    "JSON with one emoji": (b'{"content":"%b\xf0\x9f\x8c\x8a"}' % (b"a" * SIZE), JSON),
    "JSON of escapes": (b'{"content":"%b"}' % (rb"\u00e9" * (SIZE // 6)), JSON),
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_of_any_shape_does_so_too(server: Server, prompt: str) -> None:
    body, field = PROMPTS[prompt]
    measured(server, prompt, "POST", "/stream", body, field)


MANY: dict[str, Callable[[Server], int]] = {
    "messages": lambda server: measured(
        server, "messages", "POST", "/streams/json", b"[" + b"1," * SIZE + b"1]"
    ),
    "members": lambda server: measured(
        server, "members", "POST", "/v1/messages", b"{" + b'"a":1,' * (SIZE // 6) + b'"b":1}'
    ),
    "fields": lambda server: measured(
        server, "fields", "POST", "/stream", b"a=&" * (SIZE // 3), FORM
    ),
    "levels": lambda server: measured(
        server, "levels", "POST", "/streams/json", b"[" * SIZE + b"]" * SIZE
    ),
}


@pytest.mark.parametrize("what", MANY)
def test_more_of_a_thing_than_may_be_are_refused(server: Server, what: str) -> None:
    assert MANY[what](server) == 400


def test_as_many_messages_as_may_be_are_appended_without_holding_up_anybody(
    server: Server,
) -> None:
    body = b"[" + b",".join([b'"%b"' % (b"a" * 100)] * 10_000) + b"]"
    assert measured(server, "10000 messages", "POST", "/streams/json", body) == 204


# --- bodies in flight -------------------------------------------------------------------------


def announce(server: Server, size: int, *fields: tuple[str, str]) -> Viewer:
    """A client that announces a body, and sends none of it before it is told to."""
    announced = [JSON, ("Content-Length", str(size)), ("Expect", "100-continue"), *fields]
    return Viewer(server, "POST", "/v1/chat/completions", announced).head()


def admits(server: Server, size: int) -> bool:
    with announce(server, size) as viewer:
        return viewer.status == 100


def ask(server: Server, size: int) -> Viewer:
    body = b'{"stream":true,"messages":"%b"}' % (b"a" * size)
    leaving = ("Tailrace-Disconnect", "cancel")
    return Viewer(server, "POST", "/v1/chat/completions", [JSON, leaving], body)


def test_bodies_that_never_come_leave_room_for_small_ones_and_others_are_told_to_come_again(
    tmp_path: Path,
) -> None:
    with (
        serving("http://127.0.0.1:9/v1", tmp_path, "--max-bodies", "16MiB") as server,
        ExitStack() as stack,
    ):
        waiting = [stack.enter_context(announce(server, 4 * MIB)) for _ in range(10)]
        assert [each.status for each in waiting] == [100] * 3 + [503] * 7
        assert waiting[-1].fields["retry-after"] == "1"
        assert b"bodies_full" in waiting[-1].rest().data
        assert send(server, "PUT", "/streams/small", b"[1]") == 201
        for each in waiting:
            each.leave()
        wait_for(lambda: admits(server, 14 * MIB))


def test_a_silent_upstream_s_requests_are_bounded_and_let_go_with_their_clients(
    tmp_path: Path,
) -> None:
    flags = ("--max-bodies", "32MiB", "--retry-budget", "60")
    with (
        ThreadedUpstream(Script((Wait("never"),))) as upstream,
        serving(upstream.base_url, tmp_path, *flags) as server,
        ExitStack() as stack,
    ):
        before = server.memory()
        asking = [stack.enter_context(ask(server, 5 * MIB)) for _ in range(5)]
        wait_for(lambda: len(upstream.requests) == 5)
        with ask(server, 5 * MIB) as one_more:
            assert one_more.head().status == 503
        # Each is held once to be sent again, and at most once more by what sends it.
        assert of_a_status(server, "VmHWM") - before < 3 * 32 * MIB
        for each in asking:
            each.leave()
        wait_for(lambda: admits(server, 28 * MIB))


def test_a_body_is_let_go_with_the_answer_s_first_event(tmp_path: Path) -> None:
    answer = Script((Head(), Send(role_chunk()), Wait("rest")))
    flags = ("--max-bodies", "16MiB", "--retry-budget", "60")
    with (
        ThreadedUpstream(answer) as upstream,
        serving(upstream.base_url, tmp_path, *flags) as server,
        ask(server, 10 * MIB) as viewer,
    ):
        viewer.head().until(lambda data: b"role" in data)
        wait_for(lambda: admits(server, 14 * MIB))
        upstream.open("rest")
