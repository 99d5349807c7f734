"""The cookie that says that a browser gave the server's token. Sans-I/O.

attribute        why
---------------  ----------------------------------------------------------------------
name             has the port of Host: cookies are shared by all ports of a host, and two
                 servers must not log each other out
value            an HMAC under the token: it is not the token, outlives a restart, and is
                 over when the token is changed
HttpOnly         no script reads it
SameSite=Strict  no other site has it sent; other ports of this host are the same site, so
                 whom it is believed of is decided in ``principal.py``
Path=/           the page asks below ``/streams`` and ``/v1``, too
Secure           where the browser came by https
no Max-Age       the browser forgets it when it is closed
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from typing import Final

_PURPOSE: Final = b"tailrace: a browser gave this token"
_NAME: Final = "tailrace"


def session_name(host: str) -> str:
    """What the cookie is called at a Host, which has been found to be one of ours."""
    port = host.rpartition("]")[2].partition(":")[2]
    return f"{_NAME}-{port}" if port else _NAME


def session_value(token: str) -> str:
    """What the cookie says of a token: 64 hexadecimal digits."""
    return hmac.digest(token.encode(), _PURPOSE, "sha256").hex()


def shows_session(cookies: Iterable[str], host: str, token: str) -> bool:
    """Whether one of these values of Cookie fields has the cookie of that token."""
    wanted = session_value(token).encode()
    given = _values(cookies, session_name(host))
    return any(hmac.compare_digest(value.encode(), wanted) for value in given)


def begin_session(host: str, token: str, *, secure: bool) -> tuple[bytes, bytes]:
    """The field that has a browser keep the cookie."""
    return _set_cookie(f"{session_name(host)}={session_value(token)}", secure=secure)


def end_session(host: str, *, secure: bool) -> tuple[bytes, bytes]:
    """The field that has it forget the cookie."""
    return _set_cookie(f"{session_name(host)}=; Max-Age=0", secure=secure)


def _set_cookie(cookie: str, *, secure: bool) -> tuple[bytes, bytes]:
    attributes = "; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
    return (b"set-cookie", f"{cookie}{attributes}".encode("ascii"))


def _values(cookies: Iterable[str], name: str) -> Iterator[str]:
    """All of that name: another path or domain may have set one that comes first."""
    for field in cookies:
        for pair in field.split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                yield value.strip()
