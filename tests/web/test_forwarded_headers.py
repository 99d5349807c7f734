"""Which fields pass through the relay."""

from __future__ import annotations

import pytest

from tailrace.web.forwarded_headers import to_client, to_upstream

HOP = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
]
NOT_UPSTREAM = [
    *HOP,
    "Host",
    "Cookie",
    "Content-Length",
    "Accept-Encoding",
    "Origin",
    "Referer",
    "Sec-Fetch-Site",
    "Sec-CH-UA",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "Via",
    "Expect",
    "Last-Event-ID",
    "Stream-Closed",
    "HTTP2-Settings",
]
UPSTREAM = [
    "Accept",
    "Content-Type",
    "User-Agent",
    "OpenAI-Organization",
    "OpenAI-Beta",
    "X-Stainless-Lang",
    "X-Request-Id",
    "Idempotency-Key",
    "anthropic-version",
    "X-Api-Key",
]
NOT_CLIENT = [
    *HOP,
    "Set-Cookie",
    "Server",
    "Date",
    "Via",
    "Alt-Svc",
    "Strict-Transport-Security",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Content-Length",
    "Content-Encoding",
    "X-Accel-Redirect",
    "X-Accel-Buffering",
    "X-Sendfile",
    "WWW-Authenticate",
    "Content-Location",
    "Stream-Closed",
    "NEL",
    "Report-To",
    "Content-Security-Policy",
    "Permissions-Policy",
    "Set-Login",
    "Speculation-Rules",
    "X-Content-Type-Options",
]
CLIENT = [
    "Content-Type",
    "Retry-After",
    "X-Request-Id",
    "OpenAI-Processing-Ms",
    "OpenAI-Version",
    "X-RateLimit-Limit-Requests",
    "x-ratelimit-reset-tokens",
    "ETag",
    "Location",
    "Cache-Control",
    "anthropic-ratelimit-tokens-remaining",
]


def field(name: str) -> tuple[bytes, bytes]:
    return name.encode(), b"v"


@pytest.mark.parametrize("name", NOT_UPSTREAM)
def test_the_upstream_does_not_see(name: str) -> None:
    assert to_upstream([field(name), field(name.lower())]) == []


@pytest.mark.parametrize("name", UPSTREAM)
def test_the_upstream_sees(name: str) -> None:
    expected = [(name.lower().encode(), b"v")]
    assert to_upstream([field(name)]) == expected


@pytest.mark.parametrize("name", NOT_CLIENT)
def test_the_client_does_not_see(name: str) -> None:
    assert to_client([field(name), field(name.lower())]) == []


@pytest.mark.parametrize("name", CLIENT)
def test_the_client_sees(name: str) -> None:
    assert to_client([field(name)]) == [(name.lower().encode(), b"v")]


def test_what_a_connection_field_names_stays_on_its_hop() -> None:
    fields = [
        (b"connection", b"close, X-One"),
        (b"Connection", b" x-two ,"),
        field("X-One"),
        field("x-two"),
        field("x-three"),
    ]
    assert to_upstream(fields) == [(b"x-three", b"v")]
    assert to_client(fields) == [(b"x-three", b"v")]


def test_length_and_encoding_stay_with_a_body_that_is_handed_on_whole() -> None:
    fields = [field("content-length"), field("content-encoding")]
    assert to_client(fields, keep_length=True) == fields[:1]
    assert to_client(fields, keep_encoding=True) == fields[1:]


def test_order_and_repetition_are_kept() -> None:
    fields = [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")]
    assert to_client(fields) == fields
    assert to_upstream(fields) == fields
