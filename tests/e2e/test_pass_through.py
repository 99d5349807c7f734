"""Every other path below ``/v1``, passed through both ways: a gigabyte each, and little kept.

To print what was measured:

    pytest tests/e2e/test_pass_through.py -k gigabyte -s
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from openai import OpenAI

from tailrace.testing.script import Head, Send, Wait, respond, script
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import PLAIN, WITHIN, Server, Viewer, fetch, get, serving, wait_for
from tests.e2e.raw_upstream import KIB, Peer, RawUpstream

MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
# What the server may grow by, whatever passes through it.
GROWTH: Final = 16 * MIB
JSON: Final = ("Content-Type", "application/json")
BINARY: Final = ("Content-Type", "application/octet-stream")
# Not the same bytes twice within a read, so that a piece lost, doubled or moved changes the digest.
BLOCK: Final = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(MIB // 32))


@pytest.fixture(scope="module", params=["ours", "plain"])
def server_env(request: pytest.FixtureRequest) -> dict[str, str]:
    """Our own way to the client, and that of any ASGI server."""
    return {PLAIN: "true" if request.param == "plain" else "false"}


# --- a server, and clients of it ----------------------------------------------------------------


@contextmanager
def passing(
    serve: Callable[[Peer], None], data: Path, *flags: str, env: dict[str, str]
) -> Iterator[tuple[Server, RawUpstream]]:
    """A server in front of such an upstream."""
    upstream = RawUpstream(serve)
    try:
        with serving(upstream.base_url, data, *flags, env=env) as server:
            yield server, upstream
            # Plain ASGI cuts a response by an exception, which is logged (docs/embedding.md).
            assert "Traceback" not in server.output or env[PLAIN] == "true", server.output
    finally:
        upstream.close()


class Client:
    """A request whose body is sent piece by piece."""

    def __init__(self, server: Server, target: str, *fields: tuple[str, str]) -> None:
        self.viewer = Viewer(server, "POST", target, fields)
        self.sent = 0
        self.digest = hashlib.sha256()

    def send(self, data: bytes) -> None:
        self.viewer.socket.sendall(data)
        self.sent += len(data)
        self.digest.update(data)

    def send_until_refused(self, size: int) -> None:
        """Like ``send``, until the other side wants no more."""
        with suppress(ConnectionError, TimeoutError):
            while self.sent < size:
                self.send(BLOCK)


def length(size: int) -> tuple[str, str]:
    return "Content-Length", str(size)


# --- a gigabyte -------------------------------------------------------------------------------


def peak(server: Server) -> int:
    """The most resident memory that the server ever had."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.pid}/status").read_text())
    assert match
    return int(match[1]) * KIB


@contextmanager
def growing_little(server: Server, what: str) -> Iterator[None]:
    """The server's peak before and after; it has passed something small already."""
    before, begun = peak(server), time.monotonic()
    yield
    grown, seconds = peak(server) - before, time.monotonic() - begun
    print(f"\n{what}: {grown / MIB:.1f} MiB more than {before / MIB:.1f}, in {seconds:.1f} s")
    assert grown < GROWTH


reads_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@reads_proc
def test_a_gigabyte_is_uploaded_through_little_memory(
    tmp_path: Path, server_env: dict[str, str]
) -> None:
    def serve(peer: Peer) -> None:
        peer.ask()
        peer.take_all()
        peer.say("200 OK", peer.digest.hexdigest().encode())

    with passing(serve, tmp_path, env=server_env) as (server, _):

        def upload(size: int) -> None:
            client = Client(server, "/v1/files", length(size), BINARY)
            with client.viewer as viewer:
                while client.sent < size:
                    client.send(BLOCK)
                assert viewer.head().status == 200
                assert viewer.rest().data.decode() == client.digest.hexdigest()

        upload(MIB)
        with growing_little(server, "1 GiB up"):
            upload(GIB)


@reads_proc
def test_a_gigabyte_is_downloaded_through_little_memory(
    tmp_path: Path, server_env: dict[str, str]
) -> None:
    sent = []

    def serve(peer: Peer) -> None:
        size = int(peer.ask().split()[1].rpartition(b"/")[2])
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        digest = hashlib.sha256()
        for _ in range(size // MIB):
            peer.socket.sendall(BLOCK)
            digest.update(BLOCK)
        sent.append(digest.hexdigest())
        peer.socket.recv(1)

    with passing(serve, tmp_path, env=server_env) as (server, _):

        def download(size: int) -> None:
            digest, buffer = hashlib.sha256(), bytearray(256 * KIB)
            with get(server, f"/v1/files/{size}") as viewer:
                assert viewer.fields["content-length"] == str(size)
                digest.update(early := viewer.buffered())
                count = len(early)
                time.sleep(0.3)  # the upstream sends as much as it may meanwhile
                while count < size:
                    read = viewer.socket.recv_into(buffer)
                    assert read
                    digest.update(memoryview(buffer)[:read])
                    count += read
            wait_for(lambda: sent)
            assert sent.pop() == digest.hexdigest()

        download(MIB)
        with growing_little(server, "1 GiB down"):
            download(GIB)


# --- held up, refused, left -------------------------------------------------------------------


def test_an_upstream_that_reads_slowly_stops_the_client(
    tmp_path: Path, server_env: dict[str, str]
) -> None:
    go, size = threading.Event(), 256 * MIB

    def serve(peer: Peer) -> None:
        peer.ask()
        go.wait(WITHIN)
        peer.take(size)
        peer.say("200 OK", peer.digest.hexdigest().encode())

    with passing(serve, tmp_path, env=server_env) as (server, _):
        client = Client(server, "/v1/files", length(size), BINARY)
        client.viewer.socket.settimeout(1.0)
        with client.viewer as viewer:
            rest = BLOCK
            try:
                while client.sent < size:
                    count = viewer.socket.send(rest)
                    client.digest.update(rest[:count])
                    client.sent += count
                    rest = rest[count:] or BLOCK
            except TimeoutError:
                pass
            # The kernel's buffers of two connections, which it makes as large as it likes.
            assert client.sent < 64 * MIB
            go.set()
            viewer.socket.settimeout(WITHIN)
            client.send(rest)
            while client.sent < size:
                client.send(BLOCK)
            assert viewer.head().status == 200
            assert viewer.rest().data.decode() == client.digest.hexdigest()


@pytest.mark.parametrize("lingers", [True, False])
def test_an_early_refusal_reaches_a_client_that_still_sends(
    tmp_path: Path, server_env: dict[str, str], lingers: bool
) -> None:
    def serve(peer: Peer) -> None:
        peer.ask()
        peer.take(MIB)
        peer.say("413 Too Large", b'{"error":{"message":"too large"}}')
        if lingers:
            while peer.socket.recv(64 * KIB):
                pass

    with passing(serve, tmp_path, env=server_env) as (server, upstream):
        client = Client(server, "/v1/files", length(GIB), BINARY)
        client.viewer.socket.settimeout(5)
        with client.viewer as viewer:
            sending = threading.Thread(target=client.send_until_refused, args=(GIB,))
            sending.start()
            assert viewer.head().status == 413
            assert viewer.rest().data == b'{"error":{"message":"too large"}}'
            sending.join()
        assert len(upstream.peers) == 1
        assert upstream.peers[0].read <= MIB
        assert fetch(server, "/health").whole


def test_a_client_that_leaves_in_mid_upload_closes_the_upstreams_connection(
    tmp_path: Path, server_env: dict[str, str]
) -> None:
    ended = threading.Event()

    def serve(peer: Peer) -> None:
        peer.ask()
        try:
            peer.take(GIB)
        finally:
            ended.set()

    with passing(serve, tmp_path, env=server_env) as (server, upstream):
        client = Client(server, "/v1/files", length(GIB), BINARY)
        client.send(BLOCK)
        wait_for(lambda: upstream.peers and upstream.peers[0].read >= MIB)
        client.viewer.leave()
        assert ended.wait(WITHIN)
        wait_for(lambda: "POST /v1/{path} - " in server.output)
        line = next(x for x in server.output.splitlines() if "/v1/{path}" in x)
        assert line.endswith(" left")


def test_a_client_that_leaves_while_it_waits_for_the_answer_closes_the_upstreams_connection(
    tmp_path: Path, server_env: dict[str, str]
) -> None:
    ended = threading.Event()

    def serve(peer: Peer) -> None:
        peer.ask()
        peer.take(MIB)
        assert peer.socket.recv(1) == b""
        ended.set()

    with passing(serve, tmp_path, env=server_env) as (server, upstream):
        client = Client(server, "/v1/audio/transcriptions", length(MIB), BINARY)
        client.send(BLOCK)
        wait_for(lambda: upstream.peers and upstream.peers[0].read == MIB)
        client.viewer.leave()
        assert ended.wait(WITHIN)


def test_an_answer_flows_while_the_upload_does_and_both_end_when_the_client_leaves(
    tmp_path: Path, server_env: dict[str, str]
) -> None:
    ended = threading.Event()

    def serve(peer: Peer) -> None:
        peer.ask()
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for size in (1, 2):
            peer.take(size)
            peer.socket.sendall(b"1\r\n%d\r\n" % size)
        try:
            peer.take(3)
        finally:
            ended.set()

    with passing(serve, tmp_path, env=server_env) as (server, _):
        client = Client(server, "/v1/realtime", length(GIB), BINARY)
        client.send(b"a")
        assert client.viewer.head().chunk() == b"1"
        client.send(b"b")
        assert client.viewer.chunk() == b"2"
        client.viewer.leave()
        assert ended.wait(WITHIN)


def test_an_upstream_that_dies_in_mid_download_cuts_the_body(
    tmp_path: Path, server_env: dict[str, str]
) -> None:
    def serve(peer: Peer) -> None:
        chunked = b"chunked" in peer.ask()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % GIB
        begun = b"%x\r\n%b\r\n" % (MIB, BLOCK) if chunked else BLOCK
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (framing, begun))

    with passing(serve, tmp_path, env=server_env) as (server, _):
        with get(server, "/v1/files/a/content?chunked") as viewer:
            assert viewer.rest() == (BLOCK, False)
        with get(server, "/v1/files/a/content") as viewer:
            data = viewer.buffered()
            while more := viewer.socket.recv(64 * KIB):
                data += more
            assert data == BLOCK
        wait_for(lambda: server.output.count(" aborted") == 2)


def test_a_chunked_upload_arrives_in_chunks(tmp_path: Path, server_env: dict[str, str]) -> None:
    bodies = []

    def serve(peer: Peer) -> None:
        head = peer.ask().lower()
        assert b"\r\ntransfer-encoding: chunked" in head
        assert b"content-length" not in head
        peer.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        data = peer.early
        while not data.endswith(b"0\r\n\r\n"):
            data += peer.socket.recv(64 * KIB)
        while (size := int(data.partition(b"\r\n")[0], 16)) > 0:
            bodies.append(data.partition(b"\r\n")[2][:size])
            data = data.partition(b"\r\n")[2][size + 2 :]
        peer.say("201 Created", b"ok")

    with passing(serve, tmp_path, env=server_env) as (server, _):
        pieces = [b"a", BLOCK, b"", b"b" * 70_000]
        client = Client(server, "/v1/uploads", ("Transfer-Encoding", "chunked"), BINARY)
        with client.viewer as viewer:
            for piece in filter(None, pieces):
                client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
            assert viewer.head().status == 201
        assert b"".join(bodies) == b"".join(pieces)


def test_an_upload_over_the_limit_is_refused(tmp_path: Path, server_env: dict[str, str]) -> None:
    def serve(peer: Peer) -> None:
        peer.ask()
        peer.take(GIB)

    with passing(serve, tmp_path, "--max-upload", "1MiB", env=server_env) as (server, upstream):
        with Viewer(server, "POST", "/v1/files", (length(MIB + 1),)).head() as viewer:
            assert viewer.status == 413
            assert b"body_too_large" in viewer.rest().data
        assert not upstream.peers
        client = Client(server, "/v1/files", ("Transfer-Encoding", "chunked"), BINARY)
        with client.viewer as viewer:
            client.send(b"%x\r\n%b\r\n1\r\na\r\n" % (MIB, BLOCK))
            assert viewer.head().status == 413


# --- as it is ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scripted(
    tmp_path_factory: pytest.TempPathFactory, server_env: dict[str, str]
) -> Iterator[tuple[Server, ThreadedUpstream]]:
    data = tmp_path_factory.mktemp("scripted")
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, data, env=server_env) as server,
    ):
        yield server, upstream


Scripted = tuple[Server, ThreadedUpstream]


def test_an_embedding_is_asked_for_and_given_byte_for_byte(scripted: Scripted) -> None:
    server, upstream = scripted
    asked = b'{"model": "text-embedding-3-small",\n "input":["\xc3\xa9",  "x"], "x-odd":1e3}'
    given = b'{"object":"list","data":[{"embedding":[1e-3]}] }'
    upstream.script(respond(200, given, ("x-request-id", "req-7"), ("set-cookie", "a=b")))
    count = len(upstream.requests)
    fields = (JSON, ("X-Mine", "yes"), ("Cookie", "a=b"), ("Authorization", "Bearer theirs"))
    with Viewer(server, "POST", "/v1/embeddings?a=%20b", fields, asked).head() as viewer:
        assert viewer.status == 200
        assert viewer.fields["x-request-id"] == "req-7"
        assert "set-cookie" not in viewer.fields
        assert viewer.rest().data == given
    seen = upstream.request(count + 1)
    assert (seen.method, seen.target, seen.body) == ("POST", "/v1/embeddings?a=%20b", asked)
    headers = dict(seen.headers)
    assert headers["authorization"] == "Bearer theirs"
    assert headers["x-mine"] == "yes"
    assert headers["content-length"] == str(len(asked))
    assert "cookie" not in headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_is_passed_on(scripted: Scripted, method: str) -> None:
    server, upstream = scripted
    count = len(upstream.requests)
    with Viewer(server, method, "/v1/threads/t%2F1/").head():
        seen = upstream.request(count + 1)
        assert (seen.method, seen.target, seen.body) == (method, "/v1/threads/t%2F1/", b"")


def test_a_refusal_is_passed_back_with_its_status(scripted: Scripted) -> None:
    server, upstream = scripted
    upstream.script(respond(429, b'{"error":{}}', ("retry-after", "7")))
    with Viewer(server, "POST", "/v1/moderations", (JSON,), b"{}").head() as viewer:
        assert (viewer.status, viewer.fields["retry-after"]) == (429, "7")
        assert viewer.rest().data == b'{"error":{}}'


def test_events_are_passed_on_as_they_come(scripted: Scripted) -> None:
    server, upstream = scripted
    head = Head(headers=(("content-type", "text/event-stream"), ("cache-control", "max-age=9")))
    upstream.script(script(head, Send(b"data: a\n\n"), Wait("next"), Send(b"data: b\n\n")))
    with Viewer(server, "POST", "/v1/audio/speech", (JSON,), b'{"model":"m"}').head() as viewer:
        assert viewer.fields["cache-control"] == "no-cache, no-transform"
        assert viewer.fields["x-accel-buffering"] == "no"
        assert viewer.chunk() == b"data: a\n\n"
        upstream.open("next")
        assert viewer.rest() == (b"data: b\n\n", True)


def test_what_is_passed_through_is_no_page_of_ours(scripted: Scripted) -> None:
    server, upstream = scripted
    page = ("content-type", "text/html")
    upstream.script(respond(200, b"<script>fetch('/streams')</script>", page))
    with Viewer(server, "POST", "/v1/files/a").head() as viewer:
        assert viewer.fields["content-security-policy"] == "sandbox; default-src 'none'"
        assert viewer.fields["x-content-type-options"] == "nosniff"


def test_nothing_of_it_is_kept_and_nothing_logged_but_the_route(scripted: Scripted) -> None:
    server, upstream = scripted
    upstream.script(respond(200, b"{}"))
    before = fetch(server, "/streams").data
    with Viewer(server, "POST", "/v1/files/secret-name?q=secret", (JSON,), b"{}").head():
        pass
    assert fetch(server, "/streams").data == before
    assert "secret" not in server.output


def test_an_sdk_embeds_uploads_and_downloads(scripted: Scripted) -> None:
    server, upstream = scripted
    client = OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
    count = len(upstream.requests)
    upstream.script(
        respond(200, b'{"object":"list","data":[{"index":0,"embedding":[0.5]}]}'),
        respond(200, b'{"id":"file-1","object":"file","filename":"a.bin"}'),
        respond(200, b"ID3\x00\xff", ("content-type", "audio/mpeg")),
    )
    vectors = client.embeddings.create(model="m", input=["a"], encoding_format="float")
    assert vectors.data[0].embedding == [0.5]
    uploaded = client.files.create(file=("a.bin", BLOCK * 3), purpose="user_data")
    assert uploaded.id == "file-1"
    assert BLOCK * 3 in upstream.request(count + 2).body
    spoken = client.audio.speech.create(model="m", voice="alloy", input="Hi")
    assert spoken.read() == b"ID3\x00\xff"
