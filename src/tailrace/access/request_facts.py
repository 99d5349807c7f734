"""What the fields of a request say about who sends it, gathered once. Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tailrace.contracts import Headers
from tailrace.wire.llm.credentials import FIELDS

PAGE: Final = b"tailrace-page"
"""The field that our page adds to its requests: over plain HTTP, which is not of loopback,
browsers do not say where a GET comes from."""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a request says about itself. None of it is a permission yet."""

    method: str
    scheme: str = "http"
    http_version: str = "1.1"
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    mode: str = ""
    dest: str = ""
    referer: str = ""
    shown: tuple[tuple[bytes, str], ...] = ()
    """Names and values of all fields in which SDKs send a key."""
    cookies: tuple[str, ...] = ()
    from_page: bool = False
    """It has the field PAGE: no page of another origin can send that, unless a preflight allowed
    it."""
    requested_headers: str = ""
    """Access-Control-Request-Headers, for preflights."""

    @classmethod
    def from_headers(
        cls,
        method: str,
        headers: Headers,
        *,
        scheme: str = "http",
        http_version: str = "1.1",
    ) -> RequestFacts:
        """Gather the facts. ``headers`` have names in lower case, as ASGI gives them."""

        def every(name: bytes) -> tuple[str, ...]:
            return tuple(value.decode("latin-1") for key, value in headers if key == name)

        def one(name: bytes) -> str:
            values = every(name)
            return values[0] if len(values) == 1 else ""

        return cls(
            method,
            scheme,
            http_version,
            hosts=every(b"host"),
            origins=every(b"origin"),
            site=every(b"sec-fetch-site"),
            mode=one(b"sec-fetch-mode"),
            dest=one(b"sec-fetch-dest"),
            referer=one(b"referer"),
            shown=tuple((name, value) for name in FIELDS for value in every(name)),
            cookies=every(b"cookie"),
            from_page=bool(every(PAGE)),
            requested_headers=", ".join(every(b"access-control-request-headers")),
        )
