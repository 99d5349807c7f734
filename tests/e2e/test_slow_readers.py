"""Readers that do not read, of a stream with one large event, in whatever way they ask for it.

Each costs its transport and a slice (docs/backpressure.md), and no copy of the event.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.harness import EVENTS, PLAIN, Body, Server, Viewer, get, serving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

KIB, MIB = 1 << 10, 1 << 20
EVENT = 8 * MIB
READERS = 40
# What docs/backpressure.md says of a viewer, and its task where there is no straight way.
EACH = 140 * KIB
# The encodings that all share, and what the allocator keeps for the next.
SHARED = 16 * MIB + 2 * EVENT
_NOBODY = "http://127.0.0.1:9/v1"

MODES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "catch-up": ("?offset=-1", ()),
    "long-poll": ("?offset=-1&live=long-poll", ()),
    "live=sse": ("?offset=-1&live=sse", ()),
    "EventSource": ("", (EVENTS,)),
    "ndjson": ("?view=ndjson", ()),
    "text": ("?view=text", ()),
}


def event() -> bytes:
    """One message, whose lines cost an event stream most, and whose characters are not ASCII."""
    text = "ü" * (EVENT // 4)
    return b'{"lines": [%b 1], "text": "%b"}' % (b"\n" * (EVENT // 16), text.encode())


def send(
    server: Server, method: str, target: str, body: bytes = b"", *more: tuple[str, str]
) -> int:
    fields = (("Content-Type", "application/json"), ("Connection", "close"), *more)
    with Viewer(server, method, target, fields, body).head() as viewer:
        return viewer.status


def whole(server: Server, mode: str) -> Body:
    target, fields = MODES[mode]
    with get(server, f"/streams/big{target}", *fields) as viewer:
        return viewer.rest()


def stuck(server: Server, mode: str) -> Viewer:
    target, fields = MODES[mode]
    return Viewer(server, "GET", f"/streams/big{target}", fields, receive_buffer=4096).head()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("env", [{}, {PLAIN: "true"}], ids=["straight", "plain ASGI"])
def test_readers_that_do_not_read_share_a_large_event(tmp_path: Path, env: dict[str, str]) -> None:
    with serving(_NOBODY, tmp_path, env=env) as server, ExitStack() as stack:
        assert send(server, "PUT", "/streams/big") == 201
        assert send(server, "POST", "/streams/big", event()) == 204
        assert send(server, "POST", "/streams/big", b"", ("Stream-Closed", "true")) == 204
        bodies = {mode: whole(server, mode) for mode in MODES}
        assert bodies["catch-up"].data == b"[%b]" % event()
        assert all(body.whole for body in bodies.values())
        before = server.memory()
        readers = {
            mode: [stack.enter_context(stuck(server, mode)) for _ in range(READERS)]
            for mode in MODES
        }
        with get(server, "/health") as probe:  # the server has turned to others since
            assert probe.rest().data
        grown = server.memory() - before
        print(f"{grown / MIB:.1f} MiB more with {READERS} readers of each of {len(MODES)} kinds")
        assert grown < len(MODES) * READERS * EACH + SHARED
        for mode, waiting in readers.items():
            assert waiting[0].rest() == bodies[mode] or mode == "live=sse", mode
