"""TLS, with certificates made here, straight and through tunnels."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trustme

from tailrace.contracts import BodyEnd, UpstreamRequest
from tailrace.errors import ConfigError, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.http.dial import tls_context
from tailrace.upstream.http.http_client import HttpUpstream
from tests.upstream.conftest import Run
from tests.upstream.raw_server import (
    ASK,
    Peer,
    Recorder,
    Script,
    answering,
    asking,
    cutting,
    serving,
    taken,
    using,
)

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
UNFRAMED = b"HTTP/1.1 200 OK\r\n\r\nhello"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return tls_context(file)


def certified(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@asynccontextmanager
async def secure(
    script: Script, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext | None
) -> AsyncIterator[HttpUpstream]:
    async with serving(script, server_tls) as server:
        client = HttpUpstream(f"https://127.0.0.1:{server.port}/v1", tls=client_tls)
        async with using(client) as upstream:
            yield upstream


def test_an_answer_over_tls_and_another_on_the_same_connection(
    run: Run, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with serving(answering(HELLO), certified(authority)) as server:
            client = HttpUpstream(f"https://127.0.0.1:{server.port}/v1", tls=trusting)
            async with using(client) as upstream:
                for _ in range(3):
                    assert await taken(await upstream.ask(ASK)) == (b"hello", BodyEnd.COMPLETE)
            assert server.accepted == 1

    run(scenario())


def test_an_upload_over_tls_waits_for_the_upstream_and_arrives(
    run: Run, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    class Upload:
        length = 16 * 1024 * 1024
        left = length

        async def read(self) -> bytes:
            self.left -= (size := min(self.left, 65536))
            return b"x" * size

    upload, go = Upload(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await go.wait()
        assert await peer.reader.readexactly(Upload.length) == b"x" * Upload.length
        await peer.send(HELLO)

    async def scenario() -> None:
        async with secure(script, certified(authority), trusting) as upstream:
            call = asyncio.ensure_future(
                upstream.ask(UpstreamRequest("PUT", "/files/a", [], upload))
            )
            seen = [-1, -2]
            while seen[-1] != seen[-2]:
                await asyncio.sleep(0.2)
                seen.append(upload.left)
            assert upload.left > 0
            go.set()
            assert await taken(await call) == (b"hello", BodyEnd.COMPLETE)
            assert upload.left == 0

    run(scenario())


def test_a_certificate_of_an_unknown_authority_is_not_trusted(
    run: Run, authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with secure(answering(HELLO), certified(authority), None) as upstream:
            with pytest.raises(UpstreamUnreachable, match=r"is not trusted: .*certificate"):
                await upstream.ask(ASK)

    run(scenario())


def test_a_certificate_for_another_host_is_not_trusted(
    run: Run, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        other = certified(authority, "example.org")
        async with secure(answering(HELLO), other, trusting) as upstream:
            with pytest.raises(UpstreamUnreachable, match=r"is not trusted: .*127\.0\.0\.1"):
                await upstream.ask(ASK)

    run(scenario())


def test_an_upstream_without_tls_is_named(run: Run, trusting: ssl.SSLContext) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def scenario() -> None:
        async with serving(script) as server:
            client = HttpUpstream(f"https://127.0.0.1:{server.port}/v1", tls=trusting)
            async with using(client) as upstream:
                with pytest.raises(UpstreamUnreachable, match="does not speak TLS"):
                    await upstream.ask(ASK)

    run(scenario())


def test_an_upstream_that_leaves_in_the_handshake_is_named(
    run: Run, trusting: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(100)

    async def scenario() -> None:
        async with serving(script) as server:
            client = HttpUpstream(f"https://127.0.0.1:{server.port}/v1", tls=trusting)
            async with using(client) as upstream:
                with pytest.raises(UpstreamUnreachable, match="TLS"):
                    await upstream.ask(ASK)

    run(scenario())


def test_plain_http_spoken_to_a_tls_port_is_told(run: Run, authority: trustme.CA) -> None:
    async def scenario() -> None:
        async with (
            serving(answering(HELLO), certified(authority)) as server,
            using(HttpUpstream(server.url)) as upstream,
        ):
            with pytest.raises((UpstreamBroken, UpstreamUnreachable)):
                await upstream.ask(ASK)

    run(scenario())


def test_the_connect_clock_covers_the_handshake(run: Run, trusting: ssl.SSLContext) -> None:
    async def scenario() -> None:
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.left()
            left.set()

        async with serving(script) as server:
            url = f"https://127.0.0.1:{server.port}/v1"
            client = HttpUpstream(url, tls=trusting, clocks=Clocks(connect=0.05))
            async with using(client) as upstream:
                with pytest.raises(UpstreamTimeout, match=r"connect clock of 0\.05 s"):
                    await upstream.ask(ASK)
                await left.wait()

    run(scenario())


def test_cancelling_in_the_handshake_closes_the_connection(
    run: Run, trusting: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        greeted, left = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.reader.readexactly(1)
            greeted.set()
            await peer.left()
            left.set()

        async with serving(script) as server:
            client = HttpUpstream(f"https://127.0.0.1:{server.port}/v1", tls=trusting)
            async with using(client) as upstream:
                task = asyncio.ensure_future(upstream.ask(ASK))
                await greeted.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await left.wait()

    run(scenario())


def test_cancelling_an_answer_closes_a_tls_connection_too(
    run: Run, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(HELLO[:-1])
            await peer.left()
            left.set()

        async with secure(script, certified(authority), trusting) as upstream:
            call = await upstream.ask(ASK)
            receiver = Recorder()
            call.stream(receiver)
            await receiver.until(lambda: receiver.body == b"hell")
            call.cancel()
            await left.wait()
            assert receiver.ends == []

    run(scenario())


def test_pausing_holds_a_tls_answer_back_and_resuming_loses_nothing(
    run: Run, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    size = 4_000_000
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, b"x" * size)

    async def scenario() -> None:
        async with secure(answering(response), certified(authority), trusting) as upstream:
            call = await upstream.ask(ASK)
            receiver = Recorder()
            receiver.on_data = lambda chunk: call.pause()
            call.stream(receiver)
            while not receiver.ends:
                seen = len(receiver.chunks)
                call.resume()
                await receiver.until(partial(receiver.has_more_than, seen))
                assert len(receiver.chunks) <= seen + 1
            assert receiver.ends == [BodyEnd.COMPLETE]
            assert len(receiver.body) == size

    run(scenario())


def test_an_unframed_body_that_tls_ended_is_whole(
    run: Run, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with secure(cutting(UNFRAMED), certified(authority), trusting) as upstream:
            assert await taken(await upstream.ask(ASK)) == (b"hello", BodyEnd.COMPLETE)

    run(scenario())


def test_an_unframed_body_that_tls_did_not_end_is_cut(
    run: Run, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """Whoever sits on the way can close a TCP connection; only the upstream can end TLS."""

    async def scenario() -> None:
        taken_all = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(UNFRAMED)
            await taken_all.wait()
            peer.cut()

        async with secure(script, certified(authority), trusting) as upstream:
            call = await upstream.ask(ASK)
            receiver = Recorder()
            call.stream(receiver)
            await receiver.until(lambda: receiver.body == b"hello")
            taken_all.set()
            assert await receiver.ended() is BodyEnd.CUT

    run(scenario())


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing here")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=name):
            tls_context(tmp_path / name)


# --- through a proxy ---
#
# Loopback upstreams bypass proxies, so these ask for names that only the proxy can resolve.


async def relay(peer: Peer, port: int) -> None:
    """Join a client to a port here, both ways, until either leaves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    try:
        await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer))
    finally:
        writer.close()


def test_https_goes_through_a_tunnel_that_shows_the_proxy_no_request(
    run: Run, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    tls = certified(authority, "model.test")

    async def scenario() -> None:
        asked: list[bytes] = []
        heads: list[bytes] = []

        async def upstream_script(peer: Peer) -> None:
            while True:
                heads.append(await peer.request())
                await peer.send(HELLO)

        async with serving(upstream_script, tls) as server:

            async def proxy_script(peer: Peer) -> None:
                asked.append(await peer.request())
                await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await relay(peer, server.port)

            async with serving(proxy_script) as proxy:
                client = HttpUpstream(
                    "https://model.test/v1",
                    api_key="sk-secret",
                    tls=trusting,
                    environ={"HTTPS_PROXY": f"http://user:p%40ss@127.0.0.1:{proxy.port}"},
                )
                async with using(client) as upstream:
                    for _ in range(2):
                        assert await taken(await upstream.ask(ASK)) == (b"hello", BodyEnd.COMPLETE)
        assert asked == [
            b"CONNECT model.test:443 HTTP/1.1\r\nhost: model.test:443\r\n"
            b"proxy-authorization: Basic dXNlcjpwQHNz\r\n\r\n"
        ]
        assert len(heads) == 2
        for head in heads:
            assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nhost: model.test\r\n")
            assert b"proxy-authorization" not in head

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "with status 407"),
        (b"HTTP/1.1 200 OK\r\n\r\nsurprise", "refused a tunnel"),
        (b"gibberish\r\n\r\n", "refused a tunnel"),
        (b"", "by closing the connection"),
    ],
    ids=["407", "speaks for the upstream", "no HTTP", "closes"],
)
def test_a_proxy_that_gives_no_tunnel_is_named_without_its_password(
    run: Run, trusting: ssl.SSLContext, answer: bytes, words: str
) -> None:
    async def scenario() -> None:
        async with serving(cutting(answer)) as proxy:
            client = HttpUpstream(
                "https://model.test/v1",
                tls=trusting,
                environ={"https_proxy": f"http://user:hunter2@127.0.0.1:{proxy.port}"},
            )
            async with using(client) as upstream:
                with pytest.raises(UpstreamUnreachable, match=words) as caught:
                    await upstream.ask(ASK)
            assert f"127.0.0.1:{proxy.port} (from https_proxy)" in str(caught.value)
            assert "hunter2" not in repr(caught.value) + repr(client)

    run(scenario())


def test_a_proxy_that_refused_a_tunnel_is_left(run: Run, trusting: ssl.SSLContext) -> None:
    async def scenario() -> None:
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await peer.left()
            left.set()

        async with serving(script) as proxy:
            environ = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
            client = HttpUpstream("https://model.test/v1", tls=trusting, environ=environ)
            async with using(client) as upstream:
                with pytest.raises(UpstreamUnreachable, match="403"):
                    await upstream.ask(ASK)
                await left.wait()

    run(scenario())


def test_plain_http_goes_through_a_proxy_in_absolute_form(run: Run) -> None:
    async def scenario() -> None:
        heads: list[bytes] = []

        async def script(peer: Peer) -> None:
            while True:
                heads.append(await peer.request())
                await peer.send(HELLO)

        async with serving(script) as proxy:
            client = HttpUpstream(
                "http://model.test:8000/v1",
                environ={"http_proxy": f"user:pass@127.0.0.1:{proxy.port}"},
            )
            async with using(client) as upstream:
                for _ in range(2):
                    assert await (await upstream.ask(ASK)).read(10) == b"hello"
            assert proxy.accepted == 1
        lines = heads[0].split(b"\r\n")
        assert lines[0] == b"POST http://model.test:8000/v1/chat/completions HTTP/1.1"
        assert b"host: model.test:8000" in lines
        assert b"proxy-authorization: Basic dXNlcjpwYXNz" in lines

    run(scenario())


def test_an_unreachable_proxy_is_named(run: Run) -> None:
    async def scenario() -> None:
        async with serving(answering(b"")) as gone:
            port = gone.port
        environ = {"ALL_PROXY": f"http://127.0.0.1:{port}"}
        async with using(HttpUpstream("http://model.test/v1", environ=environ)) as upstream:
            with pytest.raises(UpstreamUnreachable, match=f"proxy 127.0.0.1:{port}.*ALL_PROXY"):
                await upstream.ask(ASK)

    run(scenario())


def test_a_loopback_upstream_bypasses_every_proxy(run: Run) -> None:
    async def scenario() -> None:
        async with asking(answering(HELLO)) as (_, server):
            environ = dict.fromkeys(("http_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
            async with using(HttpUpstream(server.url, environ=environ)) as upstream:
                assert await (await upstream.ask(ASK)).read(10) == b"hello"

    run(scenario())
