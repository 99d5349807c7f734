"""Hostile requests against a real server that holds a paid key: the upstream sees none of them.

Each row is sent over a socket of its own, byte for byte. After each, the scripted upstream has
had no request, the status is the right one, and the server answers the next.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

import pytest

from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import WITHIN, Server, Viewer, fetch, get, serving

KEY = "sk-paid-0000000000000000"
TOKEN = "token-000000000000000000"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}'


@dataclass
class Site:
    """A server, what is behind it, and the link of an answer that it holds."""

    server: Server
    upstream: ThreadedUpstream
    link: str = ""
    other: str = ""

    @property
    def authority(self) -> str:
        return f"{self.server.host}:{self.server.port}"

    def asked(self) -> int:
        return len(self.upstream.requests)


def make_site(upstream: ThreadedUpstream, server: Server, *headers: tuple[str, str]) -> Site:
    """Two answers are asked for in the right way, so that there are links to try."""
    site = Site(server, upstream)
    for name in ("link", "other"):
        with get(server, "/stream?content=Hi", *headers) as viewer:
            assert viewer.status == 200
            assert viewer.rest().whole
            setattr(site, name, viewer.fields["content-location"])
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a paid key and, on loopback, no token."""
    data = tmp_path_factory.mktemp("plain")
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, data, env={"TAILRACE_UPSTREAM_API_KEY": KEY}) as server,
    ):
        yield make_site(upstream, server)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same with a token."""
    data = tmp_path_factory.mktemp("guarded")
    env = {"TAILRACE_UPSTREAM_API_KEY": KEY, "TAILRACE_TOKEN": TOKEN}
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, data, env=env) as server,
    ):
        yield make_site(upstream, server, ("Authorization", f"Bearer {TOKEN}"))


FRIEND = "https://app.example.org"


@pytest.fixture(scope="module")
def open_to_a_friend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same with one allowed origin."""
    data = tmp_path_factory.mktemp("friend")
    env = {"TAILRACE_UPSTREAM_API_KEY": KEY}
    with (
        ThreadedUpstream() as upstream,
        serving(upstream.base_url, data, "--cors-origins", FRIEND, env=env) as server,
    ):
        yield make_site(upstream, server)


# --- one request, byte for byte ---------------------------------------------------------------


def exchange(server: Server, request: bytes) -> bytes:
    """All that the server says until it closes; a request asks for that, or is refused so."""
    with socket.create_connection((server.host, server.port), WITHIN) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


def statuses(answer: bytes) -> list[int]:
    """The status of every response in ``answer``."""
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answer)]


def assert_refused(site: Site, request: bytes, status: int) -> bytes:
    """``request`` gets ``status`` and nothing else, reaches nobody, and does no harm."""
    before = site.asked()
    answer = exchange(site.server, request)
    assert statuses(answer) == [status], answer
    assert KEY.encode() not in answer
    assert site.asked() == before, "the upstream was asked"
    assert fetch(site.server, "/health").whole
    return answer


def head(method: str, target: str, *fields: tuple[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Row:
    """A request; what stands in braces is filled in."""

    what: str
    status: int
    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def request(self, site: Site) -> bytes:
        def fill(text: str) -> str:
            for name, value in (
                ("{authority}", site.authority),
                ("{port}", str(site.server.port)),
                ("{link}", site.link),
                ("{other}", site.other),
                ("{offset}", f"{site.other.rpartition('/')[2]}_{1:016d}"),
            ):
                text = text.replace(name, value)
            return text

        fields = tuple((name, fill(value)) for name, value in self.fields)
        if all(name != "Host" for name, _ in fields) and "(no Host)" not in self.what:
            fields = (("Host", site.authority), *fields)
        fields = (*fields, ("Connection", "close"))
        return head(self.method, fill(self.target), *fields, body=self.body)


def row_id(row: Row) -> str:
    return row.what.replace(" ", "-")


CROSS = ("Sec-Fetch-Site", "cross-site")
NO_CORS = ("Sec-Fetch-Mode", "no-cors")
CORS = ("Sec-Fetch-Mode", "cors")
NAVIGATE = ("Sec-Fetch-Mode", "navigate")
IMAGE = ("Sec-Fetch-Dest", "image")
EMPTY = ("Sec-Fetch-Dest", "empty")
DOCUMENT = ("Sec-Fetch-Dest", "document")
EVIL = ("Origin", "https://evil.example")
NULL = ("Origin", "null")
ASK = "/stream?content=spend"
COMPLETIONS = "/v1/chat/completions"
JSON = ("Content-Type", "application/json")

# What a page of another site can make a browser send.
PAGES = [
    Row("an image", 403, "GET", ASK, (CROSS, NO_CORS, IMAGE)),
    Row("an image of an old browser", 403, "GET", ASK, (("Referer", "https://evil.example/"),
        ("Sec-Fetch-Site", "cross-site"))),
    Row("a script", 403, "GET", ASK, (CROSS, NO_CORS, ("Sec-Fetch-Dest", "script"))),
    Row("a frame", 403, "GET", ASK, (CROSS, NAVIGATE, ("Sec-Fetch-Dest", "iframe"))),
    Row("a clicked link that asks", 403, "GET", ASK, (CROSS, NAVIGATE, DOCUMENT)),
    Row("an image that lists models", 403, "GET", "/v1/models", (CROSS, NO_CORS, IMAGE)),
    Row("an image of a stream", 403, "GET", "{link}", (CROSS, NO_CORS, IMAGE)),
    Row("an image of the list", 403, "GET", "/streams", (CROSS, NO_CORS, IMAGE)),
    Row("a form", 403, "POST", "/stream", (CROSS, NAVIGATE, DOCUMENT, EVIL, FORM),
        b"content=spend"),
    Row("a form without Origin", 403, "POST", "/stream", (CROSS, NAVIGATE, DOCUMENT, FORM),
        b"content=spend"),
    Row("a form of an old browser", 403, "POST", "/stream", (EVIL, FORM), b"content=spend"),
    Row("a form with only a Referer", 403, "POST", "/stream",
        (("Referer", "https://evil.example/"), FORM), b"content=spend"),
    Row("a form as text/plain to the API", 403, "POST", COMPLETIONS,
        (CROSS, NAVIGATE, DOCUMENT, EVIL, ("Content-Type", "text/plain")), CHAT),
    Row("a simple fetch to the API", 403, "POST", COMPLETIONS,
        (CROSS, NO_CORS, EMPTY, EVIL, ("Content-Type", "text/plain")), CHAT),
    Row("a fetch with JSON", 403, "POST", COMPLETIONS, (CROSS, CORS, EMPTY, EVIL, JSON), CHAT),
    Row("a preflight for the API", 403, "OPTIONS", COMPLETIONS,
        (CROSS, CORS, EMPTY, EVIL, ("Access-Control-Request-Method", "POST"),
         ("Access-Control-Request-Headers", "content-type"))),
    Row("a preflight that deletes", 403, "OPTIONS", "{link}",
        (CROSS, CORS, EMPTY, EVIL, ("Access-Control-Request-Method", "DELETE"))),
    Row("EventSource", 403, "GET", ASK,
        (CROSS, CORS, EMPTY, EVIL, ("Accept", "text/event-stream"))),
    Row("EventSource of an old browser", 403, "GET", ASK,
        (EVIL, ("Accept", "text/event-stream"))),
    Row("EventSource that says it comes back", 403, "GET", ASK,
        (EVIL, ("Accept", "text/event-stream"), ("Last-Event-ID", "x"))),
    Row("a fetch that stops", 403, "POST", "{link}",
        (CROSS, CORS, EMPTY, EVIL, ("Stream-Closed", "true"))),
    Row("a fetch that deletes", 403, "DELETE", "{link}", (CROSS, CORS, EMPTY, EVIL)),
    Row("another port of this machine", 403, "GET", ASK,
        (("Sec-Fetch-Site", "same-site"), CORS, EMPTY, ("Origin", "http://127.0.0.1:1"))),
    Row("a same-site image", 403, "GET", ASK, (("Sec-Fetch-Site", "same-site"), NO_CORS, IMAGE)),
    Row("a sandboxed frame", 403, "GET", ASK, (CROSS, CORS, EMPTY, NULL)),
    Row("a file or data URL", 403, "POST", "/stream", (NULL, FORM), b"content=spend"),
    Row("a foreign Origin", 403, "GET", ASK, (EVIL,)),
    Row("an Origin that begins like ours", 403, "GET", ASK,
        (("Origin", "http://{authority}.evil.example"),)),
    Row("our host at another scheme's port", 403, "GET", ASK, (("Origin", "http://127.0.0.1"),)),
    Row("an empty Origin", 403, "GET", ASK, (("Origin", ""),)),
    Row("our Origin and another", 403, "GET", ASK, (("Origin", "http://{authority}"), EVIL)),
    Row("our Origin, marked as foreign", 403, "GET", ASK,
        (CROSS, ("Origin", "http://{authority}"))),
    Row("two marks of which one is ours", 403, "GET", ASK,
        (("Sec-Fetch-Site", "same-origin"), CROSS)),
    Row("a mark that nobody knows", 403, "GET", ASK, (("Sec-Fetch-Site", "SAME-ORIGIN"),)),
]  # fmt: skip

# A page whose name its owner has pointed to 127.0.0.1: same-origin, as far as the browser knows.
OWN = ("Sec-Fetch-Site", "same-origin")
HOSTS = [
    Row("a rebound name", 421, "GET", ASK, (("Host", "evil.example"), OWN)),
    Row("a rebound name with our port", 421, "GET", ASK, (("Host", "evil.example:{port}"), OWN)),
    Row("a rebound name with its Origin", 421, "POST", "/stream",
        (("Host", "evil.example:{port}"), ("Origin", "http://evil.example:{port}"), OWN, FORM),
        b"content=spend"),
    Row("a name that begins with our address", 421, "GET", ASK,
        (("Host", "127.0.0.1.evil.example:{port}"), OWN)),
    Row("a name that begins with localhost", 421, "GET", ASK,
        (("Host", "localhost.evil.example"), OWN)),
    Row("a name that ends like localhost", 421, "GET", ASK, (("Host", "evillocalhost"), OWN)),
    Row("the address that means every address", 421, "GET", ASK, (("Host", "0.0.0.0:{port}"),)),
    Row("a rebound name that lists streams", 421, "GET", "/streams", (("Host", "evil.example"),)),
    Row("a rebound name that reads a link", 421, "GET", "{link}", (("Host", "evil.example"),)),
    Row("a rebound name that deletes", 421, "DELETE", "{link}", (("Host", "evil.example"),)),
    Row("a rebound name that asks the API", 421, "POST", COMPLETIONS,
        (("Host", "evil.example"), JSON), CHAT),
    Row("a rebound name that asks for models", 421, "GET", "/v1/models",
        (("Host", "evil.example"),)),
    Row("a rebound name's preflight", 421, "OPTIONS", COMPLETIONS,
        (("Host", "evil.example"), ("Origin", "http://evil.example"),
         ("Access-Control-Request-Method", "POST"))),
    Row("two Hosts, ours first", 400, "GET", ASK,
        (("Host", "{authority}"), ("Host", "evil.example"))),
    Row("two Hosts, ours last", 400, "GET", ASK,
        (("Host", "evil.example"), ("Host", "{authority}"))),
    Row("two Hosts, both ours", 400, "GET", ASK,
        (("Host", "{authority}"), ("Host", "{authority}"))),
    Row("(no Host)", 400, "GET", ASK),
    Row("an empty Host", 400, "GET", ASK, (("Host", ""),)),
    Row("a Host with credentials", 400, "GET", ASK, (("Host", "127.0.0.1@evil.example"),)),
    Row("a Host with a path", 400, "GET", ASK, (("Host", "127.0.0.1/evil.example"),)),
    Row("two Hosts in one field", 400, "GET", ASK, (("Host", "127.0.0.1, evil.example"),)),
    Row("an absolute target elsewhere", 421, "GET", "http://evil.example/stream?content=spend",
        (("Host", "{authority}"),)),
    Row("an absolute target with credentials", 400, "GET",
        "http://127.0.0.1@evil.example/stream?content=spend", (("Host", "{authority}"),)),
    Row("another scheme", 400, "GET", "ftp://{authority}/stream?content=spend"),
    Row("a tunnel", 400, "CONNECT", "evil.example:443", (("Host", "{authority}"),)),
]  # fmt: skip

# Paths that a proxy before us, or we, could take for something else.
NAMES = [
    Row("two dots", 400, "GET", "/streams/chat/../x"),
    Row("two dots that lead to asking", 400, "GET", "/streams/chat/../../stream?content=spend"),
    Row("one dot", 400, "GET", "/streams/chat/./x"),
    Row("two encoded dots", 400, "GET", "/streams/chat/%2e%2e/x"),
    Row("one encoded dot of two", 400, "GET", "/streams/chat/.%2E/x"),
    Row("an encoded slash", 400, "GET", "/streams/chat%2Fx"),
    Row("an encoded slash before dots", 400, "GET", "/streams/chat/..%2f..%2fstream"),
    Row("an encoded backslash", 400, "GET", "/streams/chat/..%5c..%5cx"),
    Row("a backslash", 400, "GET", "/streams/chat\\x"),
    Row("an empty segment", 400, "GET", "/streams/chat//x"),
    Row("a slash at the end", 400, "GET", "/streams/chat/"),
    Row("an empty name", 400, "GET", "/streams/"),
    Row("a NUL", 400, "GET", "/streams/chat/%00"),
    Row("a link and a NUL", 400, "GET", "{link}%00"),
    Row("a line end", 400, "GET", "/streams/chat/x%0d%0aSet-Cookie:%20a"),
    Row("a broken escape", 400, "GET", "/streams/chat/%zz"),
    Row("half an escape", 400, "GET", "/streams/chat/%2"),
    Row("not UTF-8", 400, "GET", "/streams/chat/%ff%fe"),
    Row("an overlong slash", 400, "GET", "/streams/chat/%c0%af"),
    Row("an encoded surrogate", 400, "GET", "/streams/chat/%ed%a0%80"),
    Row("raw bytes that are not UTF-8", 400, "GET", "/streams/chat/\udcff\udcfe"),
    Row("a bidirectional override", 400, "GET", "/streams/chat/%E2%80%AEx"),
    Row("a name of 600 bytes", 400, "GET", "/streams/" + "a" * 600),
    Row("a target of 70 000 bytes", 414, "GET", "/streams/chat/" + "a" * 70_000),
    Row("another's link as an id", 404, "GET", "/streams/chat{link}"),
    Row("a link below a link", 404, "GET", "{link}/x"),
    Row("a link in capitals", 404, "GET", "/STREAMS/chat/x"),
    Row("a prefix of a link's path", 404, "GET", "/streams/chat"),
    Row("two slashes first", 404, "GET", "//stream?content=spend"),
    Row("a slash behind", 404, "GET", "/stream/?content=spend"),
    Row("an encoded letter", 404, "GET", "/str%65am?content=spend"),
    Row("dots before asking", 404, "GET", "/x/../stream?content=spend"),
    Row("another API's path", 400, "POST", "/v1/../v1/chat/completions", (JSON,), CHAT),
    Row("a path above the upstream's", 400, "GET", "/v1/../admin"),
    Row("the same, encoded", 400, "GET", "/v1/%2e%2e/admin"),
    Row("the same behind a file", 400, "DELETE", "/v1/files/..%2F..%2F..%2Fadmin"),
    Row("the same, encoded twice", 400, "GET", "/v1/files/%252e%252e%252fadmin"),
    Row("the same, encoded too often", 400, "GET", "/v1/files/%2525252e"),
    Row("the same with backslashes", 400, "GET", "/v1/files/..%5c..%5cadmin"),
    Row("the same with parameters", 400, "GET", "/v1/..;/admin"),
    Row("an empty segment of an API", 400, "GET", "/v1//admin"),
    Row("a line end in an API's path", 400, "GET", "/v1/files/a%0d%0aX-Admin:%20yes"),
    Row("a broken escape in an API's path", 400, "GET", "/v1/files/%zz"),
    Row("a fragment", 400, "GET", "/stream?content=a#b"),
    Row("no slash", 400, "GET", "stream?content=spend"),
    Row("making an answer", 403, "PUT", "/streams/chat/mine", (("Content-Type", "text/plain"),)),
    Row("appending to an answer", 409, "POST", "{link}", (("Content-Type", "text/plain"),),
        b"forged"),
    Row("another's place as one's own", 410, "GET", "{link}?offset={offset}"),
]  # fmt: skip


@pytest.mark.parametrize("row", PAGES, ids=row_id)
def test_a_page_of_another_site_spends_nothing(site: Site, row: Row) -> None:
    answer = assert_refused(site, row.request(site), row.status)
    assert b"access-control-allow-origin" not in answer.lower()


@pytest.mark.parametrize("row", HOSTS, ids=row_id)
def test_a_host_that_is_not_ours_is_refused(site: Site, row: Row) -> None:
    assert_refused(site, row.request(site), row.status)


@pytest.mark.parametrize("row", NAMES, ids=row_id)
def test_a_trick_with_names_leads_nowhere(site: Site, row: Row) -> None:
    assert_refused(site, row.request(site), row.status)


# --- framing ----------------------------------------------------------------------------------

_SPEND = b"GET /stream?content=smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_POST = b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = {
    "a length and chunks": _POST + b"Content-Length: 5\r\n" + _CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and a length": _POST + _CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": _POST + b"Content-Length: 0\r\nContent-Length: 74\r\n\r\n",
    "two lengths in one field": _POST + b"Content-Length: 0, 74\r\n\r\n",
    "a signed length": _POST + b"Content-Length: +0\r\n\r\n",
    "a negative length": _POST + b"Content-Length: -1\r\n\r\n",
    "a length in hex": _POST + b"Content-Length: 0x0\r\n\r\n",
    "a length beyond all integers": _POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "a coding that is not chunked": _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, but not last": _POST + b"Transfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
    "a space before the colon": _POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded field": _POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is none": _POST + _CHUNKED + b"\r\nzz\r\n",
    "a negative chunk size": _POST + _CHUNKED + b"\r\n-1\r\n",
    "a NUL in a field": _POST + b"X: a\0b\r\n\r\n",
    "a lone CR in a field": _POST + b"X: a\rTransfer-Encoding: chunked\r\n\r\n",
    "a field name with a space": _POST + b"X Y: a\r\n\r\n",
    "a line end in the target": b"GET /health\r\nX: /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a space in the target": b"GET /health x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "no HTTP at all": b"EHLO example.org\r\n",
}


@pytest.mark.parametrize("what", SMUGGLED)
def test_nothing_is_smuggled_behind_a_request(site: Site, what: str) -> None:
    """One refusal, and the connection is closed: what follows is never read as a request."""
    assert_refused(site, SMUGGLED[what] + _SPEND, 400)


def test_a_body_is_never_read_as_a_request(site: Site) -> None:
    """Whoever refuses before the body has come must not take its bytes for what follows."""
    before = site.asked()
    with socket.create_connection((site.server.host, site.server.port), WITHIN) as connection:
        fields = (("Host", site.authority), EVIL, ("Connection", "close"))
        connection.sendall(head("POST", "/stream", *fields, body=_SPEND))
        answer = b""
        while data := connection.recv(65536):
            answer += data
    assert statuses(answer) == [403]
    assert site.asked() == before


@pytest.mark.parametrize("query", ["%0d%0aSet-Cookie:%20a=b", "%0a%0aevil", "%00", "%c4%8d%c4%8a"])
def test_nothing_in_a_query_becomes_a_header_or_a_line(site: Site, query: str) -> None:
    """It may be asked: it is a prompt like any other. It reaches the upstream as JSON only."""
    number = site.asked()
    injected = f"/stream?content=a{query}&model=m{query}&x{query}=1"
    with get(site.server, injected, ("Last-Event-ID", "y")) as viewer:
        assert viewer.status == 200
        assert not {"set-cookie", "evil"} & viewer.fields.keys()
        assert viewer.rest().whole
    asked = site.upstream.requests[number]
    assert asked.target == "/v1/chat/completions"
    assert {name for name, _ in asked.headers} <= {
        "host", "content-type", "content-length", "accept", "accept-encoding", "authorization",
        "user-agent", "connection",
    }  # fmt: skip
    expected = unquote("a" + query)
    assert asked.asked["messages"] == [{"role": "user", "content": expected}]
    assert "Set-Cookie" not in site.server.output
    for where in ("offset", "view", "prefix", "limit", "before"):
        target = f"{site.link if where in ('offset', 'view') else '/streams'}?{where}=a{query}"
        with get(site.server, target) as viewer:
            assert viewer.status in (200, 400)
            assert "set-cookie" not in viewer.fields


# --- links and tokens -------------------------------------------------------------------------

WRITES = [
    Row("stopping by link", 401, "POST", "{link}", (("Stream-Closed", "true"),)),
    Row("deleting by link", 401, "DELETE", "{link}"),
    Row("appending by link", 401, "POST", "{link}", (("Content-Type", "text/plain"),), b"x"),
    Row("listing", 401, "GET", "/streams"),
    Row("asking", 401, "GET", ASK),
    Row("asking in a body", 401, "POST", "/stream", (FORM,), b"content=spend"),
    Row("asking for events", 401, "GET", ASK, (("Accept", "text/event-stream"),)),
    Row("asking the API", 401, "POST", COMPLETIONS, (JSON,), CHAT),
    Row("asking for models", 401, "GET", "/v1/models"),
    Row("a wrong token", 401, "GET", ASK, (("Authorization", "Bearer wrong"),)),
    Row("half the token", 401, "GET", ASK, (("Authorization", f"Bearer {TOKEN[:-1]}"),)),
    Row("more than the token", 401, "GET", ASK, (("Authorization", f"Bearer {TOKEN}0"),)),
    Row("the token as Basic", 401, "GET", ASK, (("Authorization", f"Basic {TOKEN}"),)),
    Row("the token without a scheme", 401, "GET", ASK, (("Authorization", TOKEN),)),
    Row("the token twice", 401, "GET", ASK, (("Authorization", f"Bearer {TOKEN}"),) * 2),
    Row("an empty token", 401, "GET", ASK, (("Authorization", "Bearer "),)),
    Row("the token in the URL", 401, "GET", f"{ASK}&token={TOKEN}&access_token={TOKEN}"),
    Row("the token in a cookie", 401, "GET", ASK, (("Cookie", f"token={TOKEN}"),)),
    Row("the upstream's key as the token", 401, "GET", ASK, (("Authorization", f"Bearer {KEY}"),)),
    Row("the token from a foreign page", 403, "GET", ASK,
        (EVIL, ("Authorization", f"Bearer {TOKEN}"))),
    Row("the token under a rebound name", 421, "GET", ASK,
        (("Host", "evil.example"), ("Authorization", f"Bearer {TOKEN}"))),
]  # fmt: skip


@pytest.mark.parametrize("row", WRITES, ids=row_id)
def test_a_link_only_reads_and_only_the_token_spends(guarded: Site, row: Row) -> None:
    answer = assert_refused(guarded, row.request(guarded), row.status)
    assert TOKEN.encode() not in answer
    assert fetch(guarded.server, f"{guarded.link}?view=text").whole, "the stream is still there"


def test_a_link_reads_without_the_token_and_the_token_does_the_rest(guarded: Site) -> None:
    shown = ("Authorization", f"Bearer {TOKEN}")
    before = guarded.asked()
    for navigation in ((), (CROSS, NAVIGATE, DOCUMENT)):
        with get(guarded.server, guarded.link, *navigation) as viewer:
            assert viewer.status == 200
            assert viewer.rest().whole
    with get(guarded.server, "/streams", shown) as viewer:
        assert viewer.status == 200
        assert guarded.link.encode() in viewer.rest().data
    assert guarded.asked() == before
    with get(guarded.server, "/stream?content=Hi", shown) as viewer:
        assert viewer.status == 200
        assert viewer.rest().whole
        made = viewer.fields["content-location"]
    asked = guarded.upstream.requests[-1]
    assert asked.header("authorization") == f"Bearer {KEY}"
    assert all(TOKEN not in value for _, value in asked.headers)
    with Viewer(guarded.server, "DELETE", made, (shown,)).head() as viewer:
        assert viewer.status == 204
    with get(guarded.server, made) as viewer:
        assert viewer.status == 404


# --- the same requests with the right values --------------------------------------------------

_SELF = ("Origin", "http://{authority}")
GOOD = [
    Row("a program", 200, "GET", ASK),
    Row("our own page", 200, "GET", ASK, (OWN, CORS, EMPTY)),
    Row("our own page's form", 200, "POST", "/stream", (OWN, _SELF, FORM), b"content=spend"),
    Row("the address bar", 200, "GET", ASK, (("Sec-Fetch-Site", "none"), NAVIGATE, DOCUMENT)),
    Row("localhost", 200, "GET", ASK, (("Host", "localhost:{port}"),)),
    Row("localhost with an absolute name's dot", 200, "GET", ASK, (("Host", "localhost."),)),
    Row("IPv6 loopback", 200, "GET", ASK, (("Host", "[::1]:{port}"),)),
    Row("an absolute target", 200, "GET", "http://{authority}/stream?content=spend",
        (("Host", "evil.example"),)),
    Row("the API", 200, "POST", COMPLETIONS, (JSON,), CHAT),
    Row("the API as text from a program", 200, "POST", COMPLETIONS,
        (("Content-Type", "text/plain"),), CHAT),
    Row("models", 200, "GET", "/v1/models"),
]  # fmt: skip


@pytest.mark.parametrize("row", GOOD, ids=row_id)
def test_the_same_requests_with_the_right_values_ask_once(site: Site, row: Row) -> None:
    before = site.asked()
    answer = exchange(site.server, row.request(site))
    assert statuses(answer) == [row.status], answer
    assert site.asked() == before + 1


def test_a_clicked_link_shows_a_stream_and_asks_nothing(site: Site) -> None:
    before = site.asked()
    with get(site.server, site.link, CROSS, NAVIGATE, DOCUMENT) as viewer:
        assert viewer.status == 200
        assert viewer.rest().whole
    assert site.asked() == before


# --- an allowed origin ------------------------------------------------------------------------

_FRIEND = ("Origin", FRIEND)
NOT_EVEN_FRIENDS = [
    Row("a friend deletes", 403, "DELETE", "{link}", (CROSS, CORS, EMPTY, _FRIEND)),
    Row("a friend lists", 403, "GET", "/streams", (CROSS, CORS, EMPTY, _FRIEND)),
    Row("a friend stops", 403, "POST", "{link}", (_FRIEND, ("Stream-Closed", "true"))),
    Row("a friend over http", 403, "GET", ASK, (("Origin", "http://app.example.org"),)),
    Row("a friend at another port", 403, "GET", ASK, (("Origin", f"{FRIEND}:8443"),)),
    Row("a friend's friend", 403, "GET", ASK, (("Origin", "https://x.app.example.org"),)),
    Row("somebody who begins like a friend", 403, "GET", ASK,
        (("Origin", f"{FRIEND}.evil.example"),)),
    Row("a friend and a stranger", 403, "GET", ASK, (_FRIEND, EVIL)),
    Row("a stranger", 403, "GET", ASK, (EVIL,)),
    Row("nobody", 403, "GET", ASK, (NULL,)),
    Row("an image without Origin", 403, "GET", ASK, (CROSS, NO_CORS, IMAGE)),
    Row("a friend's name as ours", 421, "GET", ASK, (("Host", "app.example.org"), _FRIEND)),
    Row("a stranger's preflight", 403, "OPTIONS", COMPLETIONS,
        (EVIL, ("Access-Control-Request-Method", "POST"))),
]  # fmt: skip


@pytest.mark.parametrize("row", NOT_EVEN_FRIENDS, ids=row_id)
def test_allowing_one_origin_allows_nobody_else(open_to_a_friend: Site, row: Row) -> None:
    answer = assert_refused(open_to_a_friend, row.request(open_to_a_friend), row.status)
    allowed = re.findall(rb"access-control-allow-origin: (.*)\r", answer.lower())
    assert allowed in ([], [FRIEND.encode()])
    if _FRIEND not in row.fields or EVIL in row.fields:
        assert allowed == []


def test_an_allowed_page_asks_and_may_read_what_it_gets(open_to_a_friend: Site) -> None:
    server = open_to_a_friend.server
    before = open_to_a_friend.asked()
    preflight = (
        _FRIEND,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, content-type"),
    )
    with Viewer(server, "OPTIONS", COMPLETIONS, preflight).head() as viewer:
        assert viewer.status == 204
        assert viewer.fields["access-control-allow-origin"] == FRIEND
        assert viewer.fields["access-control-allow-methods"] == "GET, POST"
        assert viewer.fields["access-control-allow-headers"] == "authorization, content-type"
    assert open_to_a_friend.asked() == before
    with Viewer(server, "POST", COMPLETIONS, (CROSS, CORS, _FRIEND, JSON), CHAT).head() as viewer:
        assert viewer.status == 200
        assert viewer.fields["access-control-allow-origin"] == FRIEND
        assert "Content-Location" in viewer.fields["access-control-expose-headers"]
        assert "Origin" in viewer.fields["vary"]
        assert viewer.rest().whole
    assert open_to_a_friend.asked() == before + 1


def test_the_log_of_it_all_holds_no_target_no_link_and_no_key(site: Site) -> None:
    for secret in (KEY, "spend", site.link.rpartition("/")[2], "evil.example"):
        assert secret not in site.server.output
    assert "Traceback" not in site.server.output
