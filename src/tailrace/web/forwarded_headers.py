"""Which header fields pass through the relay, sans-I/O.

Two tables of what is *dropped*; everything else passes, because model APIs and their SDKs add
fields of their own (``openai-*``, ``x-ratelimit-*``, ``anthropic-*``, ``x-request-id``). What is
dropped falls under one of these:

    why                        to the upstream               to the client
    -------------------------  ----------------------------  ------------------------------
    hop-by-hop (RFC 9110 §7.6) those and what Connection     the same
                               names
    the client's or server's   Host, Content-Length, Expect  Content-Length, Content-Encoding
    own affair on that hop     Accept-Encoding               (by argument), Date, Server, Via
    private between browser    Cookie, Origin, Referer,      Set-Cookie
    and site                   Sec-*
    about another site         Forwarded, X-Forwarded-*,     Alt-Svc, HSTS, CORS, reporting
                               X-Real-IP, Via                and isolation policies
    our own vocabulary         Last-Event-ID, Stream-*,      Content-Location, Stream-*
                               Tailrace-*
"""

from __future__ import annotations

from typing import Final

from tailrace.contracts import Headers
from tailrace.wire.redaction import Redactor

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

_NOT_TO_UPSTREAM: Final = _HOP_BY_HOP | {
    b"accept-encoding",  # we ask for none: compressed events could not be read as they come
    b"access-control-request-headers",
    b"access-control-request-method",
    b"content-length",
    b"cookie",
    b"dnt",
    b"expect",
    b"forwarded",
    b"host",
    b"http2-settings",
    b"last-event-id",
    b"origin",
    b"referer",
    b"upgrade-insecure-requests",
    b"via",
    b"x-real-ip",
}
_NOT_TO_UPSTREAM_PREFIXES: Final = (b"sec-", b"stream-", b"tailrace-", b"x-forwarded-")

_NOT_TO_CLIENT: Final = _HOP_BY_HOP | {
    b"alt-svc",
    b"activate-storage-access",
    b"clear-site-data",
    b"content-location",  # ours says where the answer is kept
    b"content-security-policy",
    b"content-security-policy-report-only",
    b"cross-origin-embedder-policy",
    b"cross-origin-opener-policy",
    b"cross-origin-resource-policy",
    b"date",
    b"document-policy",
    b"integrity-policy",
    b"nel",
    b"origin-agent-cluster",
    b"permissions-policy",
    b"public-key-pins",
    b"refresh",
    b"report-to",
    b"reporting-endpoints",
    b"server",
    b"service-worker-allowed",
    b"set-cookie",
    b"set-login",
    b"speculation-rules",  # would have a browser ask for our URLs by itself, in our own name
    b"strict-transport-security",
    b"timing-allow-origin",
    b"via",
    b"www-authenticate",  # would have a browser ask its user for the upstream's password
    b"x-content-type-options",  # said with every response (isolation.py)
    b"x-sendfile",
}
# X-Accel-Redirect and X-Sendfile would have a web server before us send a file of its own.
_NOT_TO_CLIENT_PREFIXES: Final = (b"access-control-", b"stream-", b"x-accel-")


def to_upstream(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The client's fields that the upstream may see, in their order.

    Credentials among them are the client's word to the upstream: our token was taken out before
    (``access/principal.py``), and an upstream of which we have the key gets that instead.
    """
    dropped = _NOT_TO_UPSTREAM | _named_by_connection(headers)
    return _without(headers, dropped, _NOT_TO_UPSTREAM_PREFIXES)


def to_client(
    headers: Headers, *, keep_length: bool = False, keep_encoding: bool = False
) -> list[tuple[bytes, bytes]]:
    """The upstream's fields that the client may see, in their order.

    ``keep_length`` and ``keep_encoding``: for a body that is handed on byte for byte.
    """
    dropped = _NOT_TO_CLIENT | _named_by_connection(headers)
    if not keep_length:
        dropped |= {b"content-length"}
    if not keep_encoding:
        dropped |= {b"content-encoding"}
    return _without(headers, dropped, _NOT_TO_CLIENT_PREFIXES)


def without_keys(headers: Headers, redact: Redactor) -> list[tuple[bytes, bytes]]:
    """An upstream's fields without any key of ours; one that has it in its name is left out."""
    return [(name, redact(value)) for name, value in headers if not redact.in_name(name)]


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    """RFC 9110 §7.6.1: fields that a Connection field names are for this hop alone."""
    values = [value for name, value in headers if name.lower() == b"connection"]
    return frozenset(token.strip().lower() for value in values for token in value.split(b","))


def _without(
    headers: Headers, dropped: frozenset[bytes], prefixes: tuple[bytes, ...]
) -> list[tuple[bytes, bytes]]:
    kept = []
    for name, value in headers:
        lowered = name.lower()
        if lowered not in dropped and not lowered.startswith(prefixes):
            kept.append((lowered, value))
    return kept
