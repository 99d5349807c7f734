"""Who asks: one value for each request, made from its fields before anything is read or spent.

A server on ``localhost`` that holds a paid key can be reached by every web page its user opens.
A page can make the browser send almost any GET and many POSTs, and can aim a name of its own at
127.0.0.1 (DNS rebinding). What it cannot do is forge Host, Origin or Sec-Fetch-Site. So:

1. **Host** must be loopback, the bound address, or one that the operator allowed. A server bound
   to all addresses (0.0.0.0, ::) answers to every IP literal as well: rebinding needs a *name*.
2. **The asker** follows from what only a browser says:

       asker      says
       ---------  ----------------------------------------------------------------
       program    neither Origin nor Sec-Fetch-Site
       own page   Origin of this very host, Sec-Fetch-Site same-origin, or none
                  (the address bar)
       friend     an Origin in ``cors_origins``
       anyone     any Origin, where ``cors_origins`` has ``*``
       visitor    cross-site or same-site, but a navigation of the whole tab by GET
       stranger   any other: image, form, frame, fetch, …

   Another port of this machine is *same-site* to a browser, and no less a stranger.
3. **What it shows** is the token: in ``Authorization: Bearer``, or in the field in which an API's
   own SDK sends its key (``x-api-key``, ``api-key``), never in a URL, which would leave it in
   histories and logs. The cookie that our page gets for the token stands for it in requests of
   our own page only: browsers send it for anybody on this host.

What a principal may do is in ``decide.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tailrace.access.hosts import is_ours
from tailrace.access.owner import owner_of
from tailrace.access.policy import Policy
from tailrace.access.request_facts import RequestFacts
from tailrace.access.session import shows_session
from tailrace.contracts import Headers, Right
from tailrace.errors import BadRequest, Misdirected
from tailrace.wire.llm.credentials import holds, same, shown_in

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_ORIGIN: Final = re.compile(r"(https?)://([^/?#@]+)", re.ASCII)
# What a sandboxed page says, and with it whoever wants to: never an origin, whatever is allowed.
NO_ORIGIN: Final = ("", "null")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class Asker(StrEnum):
    """On whose behalf the client sends the request; the table above tells them apart."""

    PROGRAM = "program"
    OWN_PAGE = "own page"
    FRIEND = "friend"
    ANYONE = "anyone"
    VISITOR = "visitor"
    STRANGER = "stranger"


NOTHING: Final = frozenset[Right]()
EVERYTHING: Final = frozenset(Right)
_FOREIGN_PAGES: Final = (Asker.FRIEND, Asker.ANYONE)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. A credential for a part of the streams would add that part to this value."""

    asker: Asker
    owner: bytes
    """The digest of the credentials to which the answers belong (``owner.py``)."""
    granted: frozenset[Right] = NOTHING
    """The rights that its credentials carry: all for the token, none for no credential."""


NOBODY: Final = Principal(Asker.STRANGER, b"")
"""Whoever asks, before that is known."""


def identify(policy: Policy, facts: RequestFacts) -> Principal:
    """Return who asks. Raises BadRequest or Misdirected for a Host that is not ours.

    Where another application has decided before us, Host was its affair, and is not judged.
    """
    host = single(facts.hosts).strip().lower() if policy.judged else _check_host(policy, facts)
    asker = _asker(policy, facts, host)
    token = policy.token or ""
    shown = _shows_token(token, facts) or _is_logged_in(token, facts, asker, host)
    hidden = private_fields(policy, facts)
    credentials = [(name, value.encode("latin-1")) for name, value in facts.shown]
    guest = single(facts.origins) if asker in _FOREIGN_PAGES and not shown else ""
    owner = owner_of([field for field in credentials if field[0] not in hidden], guest.encode())
    return Principal(asker, owner, EVERYTHING if shown else NOTHING)


def private_fields(policy: Policy, facts: RequestFacts) -> frozenset[bytes]:
    """Return the names of the fields that only this server may see: our token's, and cookies."""
    token = policy.token
    held = {name for name, value in facts.shown if token and holds(value, token)}
    return frozenset(held | {b"cookie"})


def without_private_fields(policy: Policy, facts: RequestFacts, headers: Headers) -> Headers:
    """Return what everybody behind the decision is to see of the request's fields."""
    hidden = private_fields(policy, facts)
    return [field for field in headers if field[0] not in hidden]


def single(values: tuple[str, ...]) -> str:
    """Return the only value; of several none is believed."""
    return values[0] if len(values) == 1 else ""


# --- Host -------------------------------------------------------------------------------------


def _check_host(policy: Policy, facts: RequestFacts) -> str:
    """Return the request's Host in lower case. Raises BadRequest or Misdirected."""
    if not facts.hosts and facts.http_version == "1.0":
        return ""  # no browser speaks HTTP/1.0, and Host came with 1.1
    if len(facts.hosts) != 1:
        raise BadRequest("A request has exactly one Host header.")  # RFC 9112 §3.2
    host = facts.hosts[0].strip().lower()
    match = _HOST.fullmatch(host)
    if match is None:
        raise BadRequest("The Host header is not a host with an optional port.")
    if not is_ours(match[1], policy.bound_host, policy.allowed_hosts):
        raise Misdirected(
            "This server does not answer to that Host; if it should, add it to allowed_hosts."
        )
    return host


# --- the asker --------------------------------------------------------------------------------


def _asker(policy: Policy, facts: RequestFacts, host: str) -> Asker:
    if facts.origins:
        return _asker_with_origin(policy, facts, host)
    if not facts.site:
        return _asker_without_metadata(facts, host)
    site = single(facts.site)
    if site in ("same-origin", "none"):
        return Asker.OWN_PAGE
    whole_tab = facts.mode == "navigate" and facts.dest == "document"
    return Asker.VISITOR if whole_tab and facts.method == "GET" else Asker.STRANGER


def _asker_with_origin(policy: Policy, facts: RequestFacts, host: str) -> Asker:
    origin = single(facts.origins)
    if origin in NO_ORIGIN:
        return Asker.STRANGER
    if _is_own_origin(origin, facts.scheme, host):
        # Sec-Fetch-Site cannot contradict an own Origin, unless somebody makes them up.
        own = all(site == "same-origin" for site in facts.site)
        return Asker.OWN_PAGE if own else Asker.STRANGER
    if origin in policy.cors_origins:
        return Asker.FRIEND
    return Asker.ANYONE if "*" in policy.cors_origins else Asker.STRANGER


def _asker_without_metadata(facts: RequestFacts, host: str) -> Asker:
    """A program; or a browser of before 2023, or one that trusts plain HTTP too little to say.

    Browsers send Sec-Fetch-Site to https and loopback only. A Referer of elsewhere, which a
    page may suppress, then still gives away what can be.
    """
    page = _ORIGIN.match(facts.referer)
    if page is None or _is_own_origin(page[0], facts.scheme, host):
        return Asker.PROGRAM
    return Asker.VISITOR if facts.method == "GET" else Asker.STRANGER


def _is_own_origin(origin: str, scheme: str, host: str) -> bool:
    """``https`` counts for a request that came as ``http``: TLS may have ended before us."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None or not host or match[1] not in (scheme, "https"):
        return False
    port = ":" + _DEFAULT_PORTS[match[1]]
    return match[2].removesuffix(port) == host.removesuffix(port)


# --- the token --------------------------------------------------------------------------------


def _shows_token(token: str, facts: RequestFacts) -> bool:
    """Whether a field shows our token. One that comes twice shows nothing."""
    names = [name for name, _ in facts.shown]
    fields = [field for field in facts.shown if names.count(field[0]) == 1]
    return bool(token) and any(same(shown_in(*field), token) for field in fields)


def _is_logged_in(token: str, facts: RequestFacts, asker: Asker, host: str) -> bool:
    """Whether our own page shows the cookie. Anybody else's does not count."""
    own = asker is Asker.OWN_PAGE or (asker is Asker.PROGRAM and facts.from_page)
    return bool(token) and own and shows_session(facts.cookies, host, token)
