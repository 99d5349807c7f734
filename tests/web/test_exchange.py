"""Where an application is mounted, and what a response says of a body that it leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from tailrace.contracts import Observers
from tailrace.web.exchange import Exchange, make_exchange
from tailrace.web.outcome import Outcome


async def nothing() -> MutableMapping[str, Any]:
    raise AssertionError("nobody reads")


def exchange_for(
    raw_path: str, root: str = "", method: str = "GET", sent: list[Any] | None = None
) -> Exchange:
    async def send(message: MutableMapping[str, Any]) -> None:
        assert sent is not None
        sent.append(message)

    scope = {
        "method": method,
        "path": "only raw_path counts",
        "raw_path": raw_path.encode(),
        "root_path": root,
        "headers": [(b"Host", b"example.org")],
        "scheme": "https",
    }
    outcome = Outcome(Observers(), method)
    return make_exchange(scope, nothing, send, outcome, asyncio.Event())


@pytest.mark.parametrize(
    ("raw_path", "root", "base", "path"),
    [
        ("/streams/a", "", "", "/streams/a"),
        ("/app/streams/a", "/app", "/app", "/streams/a"),
        ("/app/streams/a", "/app/", "/app", "/streams/a"),
        ("/a/b/streams/a", "/a/b", "/a/b", "/streams/a"),
        ("/%61pp/streams/a", "/app", "/%61pp", "/streams/a"),
        ("/%C3%BC/streams/a", "/ü", "/%C3%BC", "/streams/a"),
        ("/app", "/app", "/app", ""),
        ("/app/", "/app", "/app", "/"),
        ("/app/app/a", "/app", "/app", "/app/a"),
        # Somebody took the prefix off, or it only looks like it.
        ("/streams/a", "/app", "", "/streams/a"),
        ("/apple/a", "/app", "", "/apple/a"),
        ("/a%2Fb/streams/a", "/a/b", "", "/a%2Fb/streams/a"),
    ],
)
def test_the_mount_is_told_from_the_path_as_it_was_sent(
    raw_path: str, root: str, base: str, path: str
) -> None:
    exchange = exchange_for(raw_path, root)
    assert (exchange.base, exchange.path) == (base, path)
    assert exchange.url() == f"https://example.org{raw_path}".encode()


@pytest.mark.parametrize(
    ("method", "status", "body", "length"),
    [
        ("GET", 200, b"abc", b"3"),
        ("GET", 200, b"", b"0"),
        ("HEAD", 200, b"abc", b"3"),
        ("HEAD", 200, b"", None),
        ("GET", 204, b"", None),
        ("GET", 304, b"", None),
    ],
)
def test_a_length_is_said_only_where_it_is_that_of_the_body_or_of_the_one_left_out(
    method: str, status: int, body: bytes, length: bytes | None
) -> None:
    sent: list[Any] = []
    asyncio.run(exchange_for("/", method=method, sent=sent).respond(status, (), body))
    assert dict(sent[0]["headers"]).get(b"content-length") == length
    assert sent[1]["body"] == (b"" if method == "HEAD" else body)
