"""The request's head, and what strangers may try to put into it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.base_url import parse_base_url
from tailrace.contracts import UpstreamRequest
from tailrace.errors import BadRequest
from tailrace.upstream.http.proxy import Proxy
from tailrace.upstream.http.request_head import RequestEncoder, encode_connect

URL = parse_base_url("http://model.test:8000/v1/")
PLAIN = RequestEncoder(URL)
KEYED = RequestEncoder(URL, b"sk-ours")
PROXY = Proxy("proxy.test", 3128, "HTTP_PROXY", b"Basic eA==")


def lines(encoded: bytes) -> list[bytes]:
    return encoded.partition(b"\r\n\r\n")[0].split(b"\r\n")


def test_a_post_is_encoded_to_the_byte() -> None:
    request = UpstreamRequest("POST", "/chat/completions", [(b"X-Client", b"a b")], b"{}")
    assert KEYED.encode(request) == (
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        b"host: model.test:8000\r\n"
        b"x-client: a b\r\n"
        b"accept-encoding: identity\r\n"
        b"authorization: Bearer sk-ours\r\n"
        b"content-length: 2\r\n"
        b"\r\n"
    )


def test_a_get_has_no_length_and_an_empty_post_has() -> None:
    assert b"content-length" not in PLAIN.encode(UpstreamRequest("GET", "/models", []))
    assert b"content-length: 0" in lines(PLAIN.encode(UpstreamRequest("POST", "/models", [])))


@pytest.mark.parametrize(
    ("length", "line"), [(7, b"content-length: 7"), (None, b"transfer-encoding: chunked")]
)
def test_of_an_upload_only_the_head_is_encoded(length: int | None, line: bytes) -> None:
    upload = _Upload(length)
    headers = [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"gzip")]
    encoded = PLAIN.encode(UpstreamRequest("PUT", "/files/a", headers, upload))
    assert encoded.endswith(line + b"\r\n\r\n")
    assert encoded.count(b"content-length") + encoded.count(b"transfer-encoding") == 1


@dataclass
class _Upload:
    length: int | None

    async def read(self) -> bytes:
        raise AssertionError("an encoder reads nothing")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.test:80/v1", b"a.test"),
        ("https://a.test:443/v1", b"a.test"),
        ("https://a.test:80/v1", b"a.test:80"),
        ("http://[::1]:8080", b"[::1]:8080"),
        ("http://[::1]", b"[::1]"),
    ],
)
def test_host_names_the_port_only_where_it_is_not_the_scheme_s(url: str, host: bytes) -> None:
    encoded = RequestEncoder(parse_base_url(url)).encode(UpstreamRequest("GET", "/models", []))
    assert lines(encoded)[1] == b"host: " + host


def test_the_clients_authorization_goes_on_only_where_there_is_no_key_of_ours() -> None:
    request = UpstreamRequest("GET", "/models", [(b"Authorization", b"Bearer theirs")])
    assert b"authorization: Bearer theirs" in lines(PLAIN.encode(request))
    keyed = KEYED.encode(request)
    assert b"theirs" not in keyed
    assert keyed.count(b"authorization") == 1


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Connection",
        b"Keep-Alive",
        b"Upgrade",
        b"TE",
        b"Trailer",
        b"Expect",
        b"Accept-Encoding",
        b"Proxy-Authorization",
        b"Proxy-Connection",
    ],
)
def test_what_belongs_to_the_connection_is_not_the_callers_to_say(name: bytes) -> None:
    encoded = PLAIN.encode(UpstreamRequest("POST", "/x", [(name, b"smuggled")], b"{}"))
    assert b"smuggled" not in encoded


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\r\nx-evil: 1"),
        (b"x", b"a\nx-evil: 1"),
        (b"x", b"a\rx-evil: 1"),
        (b"x", b"a\x00b"),
        (b"x", b"a\x7f"),
        (b"x", b"a\r\n\r\nGET /admin HTTP/1.1"),
        (b"x\r\nx-evil", b"1"),
        (b"x: y\r\nz", b"1"),
        (b"x ", b"1"),
        (b" x", b"1"),
        (b"x:", b"1"),
        (b"", b"1"),
        (b"x\x00", b"1"),
        (b"Transfer-Encoding ", b"chunked"),
        (b"transfer-encoding\t", b"chunked"),
    ],
)
def test_a_field_that_would_break_the_head_is_refused(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(BadRequest):
        PLAIN.encode(UpstreamRequest("POST", "/x", [field], b"{}"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/a b"),
        ("GET", "/a\r\nx: y"),
        ("GET", "/a#b"),
        ("GET", "/ä"),
        ("GET", "a"),
        ("GET", ""),
        ("GET", "http://elsewhere/"),
        ("G T", "/a"),
        ("", "/a"),
        ("GET\r\n", "/a"),
        ("GÉT", "/a"),
    ],
)
def test_a_request_line_that_would_break_the_head_is_refused(method: str, path: str) -> None:
    with pytest.raises(BadRequest):
        PLAIN.encode(UpstreamRequest(method, path, []))


@pytest.mark.parametrize("method", ["HEAD", "CONNECT"])
def test_methods_with_other_framing_are_a_programming_error(method: str) -> None:
    with pytest.raises(ValueError, match=method):
        PLAIN.encode(UpstreamRequest(method, "/x", []))


@given(st.binary(), st.binary(), st.text(), st.binary())
def test_whatever_is_put_in_there_is_one_head_with_the_lines_we_count(
    name: bytes, value: bytes, path: str, body: bytes
) -> None:
    request = UpstreamRequest("POST", f"/{path}", [(name, value)], body)
    try:
        encoded = KEYED.encode(request)
    except BadRequest:
        return
    head, _, rest = encoded.partition(b"\r\n\r\n")
    assert not rest
    assert len(head.split(b"\r\n")) in {5, 6}
    assert head.count(b"\n") == head.count(b"\r") == len(head.split(b"\r\n")) - 1


def test_a_proxy_is_spoken_to_in_absolute_form_for_plain_http_only() -> None:
    request = UpstreamRequest("GET", "/models", [])
    plain = lines(RequestEncoder(URL, None, PROXY).encode(request))
    assert plain[0] == b"GET http://model.test:8000/v1/models HTTP/1.1"
    assert b"proxy-authorization: Basic eA==" in plain
    inside = RequestEncoder(parse_base_url("https://model.test/v1"), b"sk-ours", PROXY)
    assert inside.encode(request).startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"proxy" not in inside.encode(request)


def test_a_tunnel_is_asked_for_by_host_and_port() -> None:
    url = parse_base_url("https://[2001:db8::1]/v1")
    assert encode_connect(url, Proxy("p", 1, "ALL_PROXY")) == (
        b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nhost: [2001:db8::1]:443\r\n\r\n"
    )


def test_the_key_does_not_show_when_an_encoder_is_printed() -> None:
    assert "sk-ours" not in repr(KEYED)
    assert "eA==" not in repr(RequestEncoder(URL, None, PROXY))
