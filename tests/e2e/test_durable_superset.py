"""Streams over real sockets, where the protocol's own suite does not look.

Framing on a kept connection, bodies that arrive in pieces, plain EventSource on the same URL,
answers of a model read as streams, and a server that goes away under those who wait.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailrace.testing.chunks import DONE, chat_chunks
from tailrace.testing.script import stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import (
    EVENTS,
    WITHIN,
    Server,
    Viewer,
    fetch,
    get,
    serving,
    sse_events,
    wait_for,
)

NOWHERE = "http://127.0.0.1:9/v1"
TEXT = ("Content-Type", "text/plain")
CHUNKED = ("Transfer-Encoding", "chunked")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose upstream is never asked, on SQLite."""
    with serving(NOWHERE, tmp_path_factory.mktemp("data"), "--max-body", "64KiB") as running:
        yield running


def send(
    server: Server, method: str, target: str, *fields: tuple[str, str], body: bytes = b""
) -> Viewer:
    """A request whose response has come whole."""
    with Viewer(server, method, target, fields, body).head() as viewer:
        if viewer.status != 204 and method != "HEAD":
            viewer.rest()
        return viewer


def piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


# --- framing ----------------------------------------------------------------------------------


def response(connection: socket.socket, end: bytes) -> bytes:
    """All that comes until ``end``, which only this response can have."""
    data = b""
    while not data.endswith(end):
        more = connection.recv(65536)
        assert more, f"the connection ended: {data!r}"
        data += more
    return data


def test_responses_without_a_body_leave_the_connection_in_order(server: Server) -> None:
    send(server, "PUT", "/streams/framing", TEXT, body=b"one")
    etag = send(server, "GET", "/streams/framing").fields["etag"]
    host = f"Host: {server.host}:{server.port}\r\n"
    requests = [
        ("HEAD /streams/framing", "", b"200"),
        ("GET /streams/framing", f"If-None-Match: {etag}\r\n", b"304"),
        ("POST /streams/framing", "Stream-Closed: true\r\n", b"204"),
        ("GET /streams/framing?offset=now&live=long-poll", "", b"204"),
        ("DELETE /streams/framing", "", b"204"),
    ]
    with socket.create_connection((server.host, server.port), timeout=WITHIN) as connection:
        for line, fields, status in requests:
            connection.sendall(f"{line} HTTP/1.1\r\n{host}{fields}\r\n".encode())
            head = response(connection, b"\r\n\r\n")
            assert head.split()[:2] == [b"HTTP/1.1", status]
            assert head.count(b"HTTP/1.1") == 1
            assert b"content-length" not in head
            assert b"transfer-encoding" not in head
        connection.sendall(f"GET /streams/framing HTTP/1.1\r\n{host}\r\n".encode())
        assert response(connection, b'"not_found"}').startswith(b"HTTP/1.1 404 ")


# --- bodies that arrive in pieces ---------------------------------------------------------------


def test_nothing_of_a_streamed_body_shows_until_all_of_it_is_there(server: Server) -> None:
    send(server, "PUT", "/streams/pieces", TEXT)
    with Viewer(server, "POST", "/streams/pieces", [TEXT, CHUNKED]) as writer:
        for part in (b"one ", b"two "):
            writer.socket.sendall(piece(part))
        assert fetch(server, "/streams/pieces").data == b""
        writer.socket.sendall(piece(b"three") + b"0\r\n\r\n")
        assert writer.head().status == 204
        # What was acknowledged is there for whoever asks next.
        assert fetch(server, "/streams/pieces").data == b"one two three"
        tail = writer.fields["stream-next-offset"]
        read = send(server, "HEAD", "/streams/pieces")
        assert read.fields["stream-next-offset"] == tail


@pytest.mark.parametrize("close", [[], [("Stream-Closed", "true")]])
def test_a_writer_that_leaves_in_mid_body_has_written_nothing(
    server: Server, close: list[tuple[str, str]]
) -> None:
    name = f"/streams/left-{len(close)}"
    send(server, "PUT", name, TEXT, body=b"before ")
    so_far = server.output.count(" left")
    with Viewer(server, "POST", name, [TEXT, CHUNKED, *close]) as writer:
        writer.socket.sendall(piece(b"half "))
    wait_for(lambda: server.output.count(" left") > so_far)
    send(server, "POST", name, TEXT, body=b"after")
    with get(server, name) as read:
        assert read.rest().data == b"before after"
        assert "stream-closed" not in read.fields


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_streamed_body_over_the_limit_stores_nothing(server: Server, method: str) -> None:
    name = f"/streams/over-{method}"
    if method == "POST":
        send(server, "PUT", name, TEXT)
    with Viewer(server, method, name, [TEXT, CHUNKED]) as writer:
        for _ in range(5):
            writer.socket.sendall(piece(b"x" * 16 * 1024))
        assert writer.head().status == 413
    with get(server, name) as read:
        assert read.status == (404 if method == "PUT" else 200)
        if method == "POST":
            assert read.rest().data == b""


# --- plain EventSource --------------------------------------------------------------------------


def test_an_event_source_follows_a_stream_that_grows_and_is_sent_home_at_its_end(
    server: Server,
) -> None:
    send(server, "PUT", "/streams/plain", TEXT, body=b"one")
    with get(server, "/streams/plain", EVENTS) as viewer:
        assert viewer.fields["content-type"] == "text/event-stream"
        body = viewer.until(lambda data: b"one" in data)
        send(server, "POST", "/streams/plain", TEXT, body=b"two")
        body += viewer.until(lambda data: b"two" in data)
        send(server, "POST", "/streams/plain", ("Stream-Closed", "true"))
        body += viewer.rest().data
    one, two, end = sse_events(body)
    assert (one.data, two.data, end.type) == ("one", "two", "end")
    assert json.loads(end.data)["ending"] == "completed"
    with get(server, "/streams/plain", EVENTS, ("Last-Event-ID", one.id)) as viewer:
        assert sse_events(viewer.rest().data) == [two, end]
    again = send(server, "GET", "/streams/plain", EVENTS, ("Last-Event-ID", end.id))
    assert again.status == 204


def test_bytes_that_are_no_text_say_so_in_every_event_stream(server: Server) -> None:
    binary = ("Content-Type", "application/octet-stream")
    send(server, "PUT", "/streams/binary", binary, ("Stream-Closed", "true"), body=b"\xff\x00")
    for target, fields in (("", [EVENTS]), ("?offset=-1&live=sse", [])):
        with get(server, f"/streams/binary{target}", *fields) as viewer:
            assert viewer.fields["stream-sse-data-encoding"] == "base64"
            assert b"/wA=" in viewer.rest().data


# --- answers of a model, as streams -------------------------------------------------------------


def test_an_answer_is_its_chunks_byte_for_byte_at_both_addresses(tmp_path: Path) -> None:
    chunks = chat_chunks(["one ", "tw\u00f6"])
    expected = [chunk.removeprefix(b"data: ").strip() for chunk in chunks if chunk != DONE]
    with ThreadedUpstream(stream(*chunks)) as upstream, serving(upstream.base_url, tmp_path) as own:
        with get(own, "/stream?content=Hi", EVENTS) as asked:
            link = asked.fields["content-location"]
            asked.rest()
        for root in ("/streams/", "/v1/stream/"):
            with get(own, root + link.removeprefix("/streams/")) as read:
                assert read.fields["content-type"] == "application/json"
                assert read.fields["stream-closed"] == "true"
                assert read.fields["cache-control"] == "private, no-store"
                assert read.rest().data == b"[%b]" % b",".join(expected)


def test_closing_a_running_answer_stops_it_and_its_upstream(tmp_path: Path) -> None:
    chunks = chat_chunks(["one", "two"])
    script = stream(*chunks, gate="token")
    with ThreadedUpstream(script) as upstream, serving(upstream.base_url, tmp_path) as own:
        upstream.admit("token", 1)
        with get(own, "/stream?content=Hi", EVENTS) as asked:
            name = asked.fields["content-location"].removeprefix("/streams/")
            asked.until(lambda data: b"assistant" in data)
            url = f"/v1/stream/{name}"
            kind = ("Content-Type", "application/json")
            assert send(own, "POST", url, kind, body=b"[1]").status == 409
            assert send(own, "POST", url, ("Stream-Closed", "true")).status == 204
            assert b"cancelled" in asked.rest().data
        assert upstream.disconnected(upstream.requests[0])
        with get(own, f"{url}?offset=-1&live=sse") as read:
            assert b'"streamClosed":true,"streamEnding":"cancelled"' in read.rest().data


# --- a server that goes away --------------------------------------------------------------------


def test_who_waits_is_answered_when_the_server_goes_away_and_goes_on_with_the_next(
    tmp_path: Path,
) -> None:
    # Nothing here may wait for this deadline, nor for the polls' own.
    patience = ("--shutdown-timeout", "10m", "--long-poll-timeout", "10m", "--sse-lifetime", "0")
    with serving(NOWHERE, tmp_path, *patience) as first:
        send(first, "PUT", "/streams/a", TEXT, body=b"one")
        poll = Viewer(first, "GET", "/streams/a?offset=now&live=long-poll")
        events = get(first, "/streams/a?offset=-1&live=sse")
        events.until(lambda data: b"upToDate" in data)
        waiting(first, poll)
        assert first.terminate() == 0
        assert poll.head().status == 204
        place = poll.fields["stream-next-offset"]
        left = events.rest().data
        assert b"retry:" in left
        assert b"streamClosed" not in left
        poll.leave()
        events.leave()
    with serving(NOWHERE, tmp_path) as second:
        send(second, "POST", "/streams/a", TEXT, body=b"two")
        assert fetch(second, f"/streams/a?offset={place}&live=long-poll").data == b"two"


def waiting(server: Server, poll: Viewer) -> None:
    """Return once the server has read the poll's request: a later one of its own was answered."""
    assert send(server, "HEAD", "/streams/a").status == 200
    poll.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        poll.socket.recv(1)
    poll.socket.settimeout(WITHIN)
