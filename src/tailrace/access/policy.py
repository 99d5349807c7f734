"""Whom we answer: one decision for each request, before anything is read, asked or spent.

A server on ``localhost`` that holds a paid key can be reached by every web page its user opens.
A page can make the browser send almost any GET and many POSTs, and can aim a name of its own at
127.0.0.1 (DNS rebinding). What it cannot do is forge Host, Origin or Sec-Fetch-Site. So:

1. **Host** must be loopback, the bound address, or one that the operator allowed. A server bound
   to all addresses (0.0.0.0, ::) answers to every IP literal as well: rebinding needs a *name*.
2. **Who is asking** follows from what only a browser says:

       asker      says                                            may, with no token set
       ---------  ----------------------------------------------  ----------------------------
       program    neither Origin nor Sec-Fetch-Site               all
       own page   Origin of this very host, Sec-Fetch-Site         all
                  same-origin, or none (the address bar)
       friend     an Origin in ``cors_origins``                   READ_LINK, ASK, PUBLIC
       anyone     any Origin, where ``cors_origins`` has ``*``    READ_LINK, PUBLIC
       visitor    cross-site or same-site, but a navigation of    READ_LINK, PUBLIC
                  the whole tab by GET
       stranger   any other: image, form, frame, fetch, …         nothing

3. **The token**, where one is set, is needed for ASK and MANAGE by everyone, on loopback too,
   and lets friend and anyone do all. ``Authorization: Bearer`` carries it, or the field in which
   an API's own SDK sends its key (``x-api-key``, ``api-key``), never a URL, which would leave it
   in histories and logs. A stream's link (READ_LINK) is its own permission and needs none.
   The token opens nothing to strangers: what they lack is not a password.

4. **The cookie** that our page gets for the token (LOGIN) stands for it in requests of our own
   page only. Browsers send it for anybody on this host, so it makes nobody more than they are.

Another port of this machine is *same-site* to a browser, and no less a stranger.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from tailrace.access.cors import EXPOSED, PREFLIGHT_MAX_AGE
from tailrace.access.hosts import is_loopback, is_ours
from tailrace.access.session import shows_session
from tailrace.contracts import Headers
from tailrace.errors import BadRequest, Forbidden, Misdirected, Unauthorized
from tailrace.wire.llm.credentials import FIELDS, holds, same, shown_in

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]

PAGE: Final = b"tailrace-page"
"""The field that our page adds to its requests: over plain HTTP, which is not of loopback,
browsers do not say where a GET comes from."""

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_ORIGIN: Final = re.compile(r"(https?)://([^/?#@]+)", re.ASCII)
# A request-header name list that is echoed in a preflight must not carry anything else.
_NAMES: Final = re.compile(r"[A-Za-z0-9_,\- ]{1,1000}", re.ASCII)
# What a sandboxed page says, and with it whoever wants to: never an origin, whatever is allowed.
_NOBODY: Final = ("", "null")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class Right(StrEnum):
    """What a route does with what is ours; every route names one."""

    PUBLIC = "public"
    """Shows nothing of anybody's: health, our page."""
    READ_LINK = "read_link"
    """Reads one stream, by a link that cannot be guessed."""
    ASK = "ask"
    """Asks the upstream, which may cost money."""
    MANAGE = "manage"
    """Lists, makes, appends to, stops or deletes streams."""
    LOGIN = "login"
    """Changes the token into a cookie, or gives that back."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided."""

    bound_host: str
    """The address given to listen on: an IP literal or a name."""
    port: int
    allowed_hosts: tuple[str, ...] = ()
    """Names that Host may have, of any port; ``.example.org`` allows all below it, too."""
    cors_origins: tuple[str, ...] = ()
    """Origins such as ``https://app.example.org`` of pages that may use this server, or ``*``."""
    token: str | None = None
    """What ASK and MANAGE need; None: nothing."""
    insecure: bool = False
    """The operator said that beyond loopback, too, no token is wanted."""
    judged: frozenset[Right] = frozenset()
    """Rights of which another application, that we are part of, has decided before us; if there
    are any, Host was its affair, too."""

    @property
    def needs_token(self) -> bool:
        """Whether this must not be started: it listens beyond loopback and asks for nothing."""
        return not (self.token or self.insecure or is_loopback(self.bound_host))


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a request says about itself, and the right that its route needs."""

    method: str
    right: Right
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
    """Access-Control-Request-Headers, for ``preflight``."""

    @classmethod
    def from_headers(
        cls,
        method: str,
        right: Right,
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
            right,
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


class Grant(NamedTuple):
    """Permission."""

    headers: Fields
    """CORS fields that belong on the response, whatever its status."""
    token_in: frozenset[bytes] = frozenset()
    """The fields that hold our token, which is nobody else's business."""
    guest: bytes = b""
    """The foreign origin that asks and may not manage: what others asked for is not its business.
    Empty for everybody else."""

    def without_token(self, headers: Headers) -> Headers:
        """What everybody behind this decision is to see of the request's fields."""
        hidden = self.token_in | {b"cookie"}
        return [field for field in headers if field[0] not in hidden]


class _Asker(StrEnum):
    PROGRAM = "program"
    OWN_PAGE = "own page"
    FRIEND = "friend"
    ANYONE = "anyone"
    VISITOR = "visitor"
    STRANGER = "stranger"


_LINK: Final = frozenset({Right.PUBLIC, Right.READ_LINK})
_NEED_TOKEN: Final = frozenset({Right.ASK, Right.MANAGE})
_ALL: Final = frozenset(Right)
_WITHOUT_TOKEN: Final = {
    _Asker.PROGRAM: _ALL,
    _Asker.OWN_PAGE: _ALL,
    _Asker.FRIEND: _LINK | {Right.ASK},
    _Asker.ANYONE: _LINK,
    _Asker.VISITOR: _LINK,
    _Asker.STRANGER: frozenset[Right](),
}
_WITH_TOKEN: Final = _WITHOUT_TOKEN | {
    _Asker.FRIEND: _LINK | _NEED_TOKEN,
    _Asker.ANYONE: _LINK | _NEED_TOKEN,
}


def decide(policy: Policy, facts: RequestFacts) -> Grant:
    """Permission, or BadRequest, Misdirected, Forbidden or Unauthorized."""
    if facts.right in policy.judged:
        return Grant(cors_headers(policy, facts))
    host = _check_host(policy, facts)
    rights = _WITH_TOKEN if policy.token else _WITHOUT_TOKEN
    asker = _asker(policy, facts, host)
    if facts.right not in rights[asker]:
        raise Forbidden(_refusal(policy, asker))
    token = policy.token or ""
    shown = _shows_token(token, facts) or _is_logged_in(token, facts, asker, host)
    if policy.token and facts.right in _NEED_TOKEN and not shown:
        raise Unauthorized("This server wants its token: Authorization: Bearer TOKEN.")
    token_in = {name for name, value in facts.shown if token and holds(value, token)}
    guest = "" if Right.MANAGE in rights[asker] else _single(facts.origins)
    return Grant(cors_headers(policy, facts), frozenset(token_in), guest.encode())


def cors_headers(policy: Policy, facts: RequestFacts) -> Fields:
    """What a grant's headers would be; for responses to refused requests. Never raises."""
    if not policy.cors_origins:
        return ()
    origin = _single(facts.origins)
    if origin in _NOBODY and facts.origins:
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


def preflight(policy: Policy, facts: RequestFacts, methods: tuple[str, ...]) -> Fields:
    """The fields of the 204 that answers a preflight; ``methods`` are the route's.

    It carries no token (browsers send none), so it grants nothing: the request that follows is
    decided by itself. Raises BadRequest, Misdirected or Forbidden.
    """
    host = _check_host(policy, facts)
    asker = _asker(policy, facts, host)
    if asker not in (_Asker.FRIEND, _Asker.ANYONE, _Asker.OWN_PAGE):
        raise Forbidden(_refusal(policy, asker))
    fields = [
        *cors_headers(policy, facts),
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-max-age", b"%d" % PREFLIGHT_MAX_AGE),
    ]
    if _NAMES.fullmatch(facts.requested_headers):
        # Echoed, because a ``*`` does not cover Authorization (Fetch, CORS protocol).
        fields.append((b"access-control-allow-headers", facts.requested_headers.encode()))
    return tuple(fields)


# --- Host -------------------------------------------------------------------------------------


def _check_host(policy: Policy, facts: RequestFacts) -> str:
    """The request's Host in lower case, once it is known to be one of ours."""
    if not facts.hosts and facts.http_version == "1.0":
        return ""  # no browser speaks HTTP/1.0, and Host came with 1.1
    if len(facts.hosts) != 1:
        raise BadRequest("A request has exactly one Host header.")  # RFC 9112 §3.2
    host = facts.hosts[0].strip().lower()
    match = _HOST.fullmatch(host)
    if match is None:
        raise BadRequest("The Host header is not a host with an optional port.")
    if not policy.judged and not is_ours(match[1], policy.bound_host, policy.allowed_hosts):
        raise Misdirected(
            "This server does not answer to that Host; if it should, add it to allowed_hosts."
        )
    return host


# --- who is asking ----------------------------------------------------------------------------


def _asker(policy: Policy, facts: RequestFacts, host: str) -> _Asker:
    if facts.origins:
        return _asker_with_origin(policy, facts, host)
    if not facts.site:
        return _asker_without_metadata(facts, host)
    site = _single(facts.site)
    if site in ("same-origin", "none"):
        return _Asker.OWN_PAGE
    whole_tab = facts.mode == "navigate" and facts.dest == "document"
    return _Asker.VISITOR if whole_tab and facts.method == "GET" else _Asker.STRANGER


def _asker_with_origin(policy: Policy, facts: RequestFacts, host: str) -> _Asker:
    origin = _single(facts.origins)
    if origin in _NOBODY:
        return _Asker.STRANGER
    if _is_own_origin(origin, facts.scheme, host):
        # Sec-Fetch-Site cannot contradict an own Origin, unless somebody makes them up.
        own = all(site == "same-origin" for site in facts.site)
        return _Asker.OWN_PAGE if own else _Asker.STRANGER
    if origin in policy.cors_origins:
        return _Asker.FRIEND
    return _Asker.ANYONE if "*" in policy.cors_origins else _Asker.STRANGER


def _asker_without_metadata(facts: RequestFacts, host: str) -> _Asker:
    """A program; or a browser of before 2023, or one that trusts plain HTTP too little to say.

    Browsers send Sec-Fetch-Site to https and loopback only. A Referer of elsewhere, which a
    page may suppress, then still gives away what can be.
    """
    page = _ORIGIN.match(facts.referer)
    if page is None or _is_own_origin(page[0], facts.scheme, host):
        return _Asker.PROGRAM
    return _Asker.VISITOR if facts.method == "GET" else _Asker.STRANGER


def _is_own_origin(origin: str, scheme: str, host: str) -> bool:
    """``https`` counts for a request that came as ``http``: TLS may have ended before us."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None or not host or match[1] not in (scheme, "https"):
        return False
    port = ":" + _DEFAULT_PORTS[match[1]]
    return match[2].removesuffix(port) == host.removesuffix(port)


def _single(values: tuple[str, ...]) -> str:
    """The only value; of several none is believed."""
    return values[0] if len(values) == 1 else ""


def _refusal(policy: Policy, asker: _Asker) -> str:
    if asker is _Asker.FRIEND or (asker is _Asker.ANYONE and not policy.token):
        return "Pages of other origins may do this only with a token; none is set (TAILRACE_TOKEN)."
    return "Pages of other sites may not do this; if they should, add their origin to cors_origins."


# --- the token --------------------------------------------------------------------------------


def _shows_token(token: str, facts: RequestFacts) -> bool:
    """Whether a field shows our token. One that comes twice shows nothing."""
    names = [name for name, _ in facts.shown]
    fields = [field for field in facts.shown if names.count(field[0]) == 1]
    return bool(token) and any(same(shown_in(*field), token) for field in fields)


def _is_logged_in(token: str, facts: RequestFacts, asker: _Asker, host: str) -> bool:
    """Whether our own page shows the cookie. Anybody else's does not count."""
    own = asker is _Asker.OWN_PAGE or (asker is _Asker.PROGRAM and facts.from_page)
    return bool(token) and own and shows_session(facts.cookies, host, token)
