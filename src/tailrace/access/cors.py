"""What pages of other origins are let see, where they may use this server."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from tailrace.access.decide import FOREIGN
from tailrace.access.policy import Policy
from tailrace.access.principal import NO_ORIGIN, Asker, Principal, single
from tailrace.access.request_facts import RequestFacts
from tailrace.contracts import Headers
from tailrace.errors import Forbidden

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]

# What a page may read of our responses beyond the seven fields that CORS always shows.
EXPOSED: Final = (
    "Content-Location",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "OpenAI-Model",
    "OpenAI-Organization",
    "OpenAI-Processing-Ms",
    "OpenAI-Version",
    "Preference-Applied",
    "Producer-Epoch",
    "Producer-Expected-Seq",
    "Producer-Received-Seq",
    "Producer-Seq",
    "Retry-After",
    "Retry-After-Ms",
    "Stream-Closed",
    "Stream-Cursor",
    "Stream-Ending",
    "Stream-Expires-At",
    "Stream-Next-Offset",
    "Stream-SSE-Data-Encoding",
    "Stream-TTL",
    "Stream-Up-To-Date",
    "WWW-Authenticate",
    "X-RateLimit-Limit-Requests",
    "X-RateLimit-Limit-Tokens",
    "X-RateLimit-Remaining-Requests",
    "X-RateLimit-Remaining-Tokens",
    "X-RateLimit-Reset-Requests",
    "X-RateLimit-Reset-Tokens",
    "X-Request-Id",
)
# Seconds a browser may remember a preflight: Chromium's own upper limit.
PREFLIGHT_MAX_AGE: Final = 7200
# A request-header name list that is echoed in a preflight must not carry anything else.
_NAMES: Final = re.compile(r"[A-Za-z0-9_,\- ]{1,1000}", re.ASCII)
# The askers whose preflight is answered: their scripts may read responses.
_PREFLIGHTS: Final = (Asker.FRIEND, Asker.ANYONE, Asker.OWN_PAGE)


def cors_headers(policy: Policy, facts: RequestFacts) -> Fields:
    """Return the fields of a response, whatever its status, for pages of other origins."""
    if not policy.cors_origins:
        return ()
    origin = single(facts.origins)
    if origin in NO_ORIGIN and facts.origins:
        return ((b"vary", b"Origin"),)
    exposed = (b"access-control-expose-headers", ", ".join(EXPOSED).encode())
    if "*" in policy.cors_origins:
        return ((b"access-control-allow-origin", b"*"), exposed)
    vary = (b"vary", b"Origin")
    if origin not in policy.cors_origins:
        return (vary,)
    return ((b"access-control-allow-origin", origin.encode("ascii")), exposed, vary)


def is_preflight(method: str, headers: Headers) -> bool:
    """Whether this asks for permission only (Fetch, CORS-preflight request)."""
    names = {name for name, _ in headers}
    return method == "OPTIONS" and {b"origin", b"access-control-request-method"} <= names


def preflight(
    policy: Policy, principal: Principal, facts: RequestFacts, methods: tuple[str, ...]
) -> Fields:
    """Return the fields of the 204 that answers a preflight; ``methods`` are the route's.

    It carries no token (browsers send none), so it grants nothing: the request that follows is
    decided by itself. Raises Forbidden.
    """
    if principal.asker not in _PREFLIGHTS:
        raise Forbidden(FOREIGN)
    fields = [
        *cors_headers(policy, facts),
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-max-age", b"%d" % PREFLIGHT_MAX_AGE),
    ]
    if _NAMES.fullmatch(facts.requested_headers):
        # Echoed, because a ``*`` does not cover Authorization (Fetch, CORS protocol).
        fields.append((b"access-control-allow-headers", facts.requested_headers.encode()))
    return tuple(fields)
