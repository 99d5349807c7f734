"""An upstream's events against a real server: what they may take of its memory and of its time.

To print what was measured:

    pytest tests/e2e/test_upstream_events.py -s
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from tailrace.testing.script import respond, stream
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.wire.json.strict_json import MAX_VALUES
from tests.e2e.bounds import within_bounds
from tests.e2e.harness import Body, Server, Viewer, fetch, serving
from tests.wire.json.json_shapes import SHAPES

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SIZE: Final = 2 * (1 << 20)
JSON = ("Content-Type", "application/json")
CHAT = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}'
RESPONSES = b'{"model":"m","stream":true,"input":"a"}'
DONE = b"data: [DONE]\n\n"
TOO_MANY = f"more than {MAX_VALUES} JSON values".encode()
# Of these the value is one string, and so may be a chunk's text.
TEXTS = ("one string", "escapes", "quotes", "surrogates", "one emoji at the end", "emojis")
FEW = (*TEXTS, "huge numbers")
"""Shapes of few values, whatever their size."""


class Room(NamedTuple):
    """A server, and its upstream, which says what a test wants."""

    server: Server
    upstream: ThreadedUpstream

    def ask(self, name: str, target: str, body: bytes, event: bytes) -> Body:
        """The answer that consists of this event."""
        self.upstream.script(stream(event, DONE))
        with (
            within_bounds(self.server, name, len(event)),
            Viewer(self.server, "POST", target, [JSON], body) as viewer,
        ):
            return viewer.head().rest()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, tmp_path_factory.mktemp("data")) as server,
    ):
        yield Room(server, upstream)


def event_of(shape: str, ident: str = "x", size: int = SIZE) -> bytes:
    """A chat's chunk with something of that shape in it."""
    value = SHAPES[shape](size)
    delta = b'"content":' + value[1:-1] if shape in TEXTS else b'"content":"a","x":' + value
    head = b'{"id":"%b","choices":[{"index":0,"delta":{' % ident.encode()
    return b"data: %b%b}}]}\n\n" % (head, delta)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_event_of_any_shape_takes_eight_times_its_bytes_and_holds_up_nobody(
    room: Room, shape: str
) -> None:
    ident = f"chatcmpl-{shape.replace(' ', '-')}"
    event = event_of(shape, ident)
    chat = room.ask(f"chat of {shape}", "/v1/chat/completions", CHAT, event)
    text = room.ask(f"text of {shape}", "/stream", b'{"content":"a"}', event)
    assert chat.whole
    assert text.whole is (shape in FEW)
    if shape not in FEW:
        assert (
            TOO_MANY in chat.data or shape == "white space"
        )  # of which an event stream drops some
        return
    assert event in chat.data
    with within_bounds(room.server, f"read whole, {shape}", SIZE):
        answer = fetch(room.server, f"/v1/chat/completions/{ident}").data
    assert ident.encode() in answer


@pytest.mark.parametrize(
    "shape", ["quotes", "one emoji at the end", "mixed nests", "short strings"]
)
def test_an_error_of_any_shape_does_so_too(room: Room, shape: str) -> None:
    error = b'event: error\ndata: {"error":{"message":%b}}\n\n' % SHAPES[shape](SIZE)
    assert b"stream_failed" in room.ask(f"error {shape}", "/v1/chat/completions", CHAT, error).data


@pytest.mark.parametrize("shape", ["quotes", "one emoji at the end", "mixed nests", "equal names"])
def test_a_typed_event_does_so_too(room: Room, shape: str) -> None:
    event = b'data: {"type":"response.completed","response":{"x":%b}}\n\n' % SHAPES[shape](SIZE)
    got = room.ask(f"response of {shape}", "/v1/responses", RESPONSES, event).data
    assert (TOO_MANY in got) is (shape not in FEW)


@pytest.mark.parametrize("shape", ["one emoji at the end", "mixed nests"])
def test_an_answer_that_is_not_streamed_does_so_too(room: Room, shape: str) -> None:
    body = b'{"choices":%b}' % SHAPES[shape](SIZE)
    room.upstream.script(respond(200, body))
    with (
        within_bounds(room.server, f"not streamed, {shape}", len(body)),
        Viewer(room.server, "POST", "/v1/chat/completions", [JSON], b'{"messages":[]}') as viewer,
    ):
        assert viewer.head().rest().data == body


def test_an_upstream_that_sends_nothing_but_line_ends_holds_up_nobody(room: Room) -> None:
    got = room.ask("line ends", "/v1/chat/completions", CHAT, b"\n" * (2 * SIZE))
    assert got.data.endswith(DONE)
