"""``POST /page/login`` and ``/page/logout``: the page's token against a cookie, and back.

Both need the right LOGIN, which only our own page and programs have: nobody else's page logs a
browser in or out.
"""

from __future__ import annotations

import hmac
import json
from typing import Final

from tailrace.access.session import begin_session, end_session
from tailrace.console.services import ConsoleServices
from tailrace.errors import BadRequest, Unauthorized
from tailrace.web.exchange import Exchange
from tailrace.wire.json.json_edit import read_object

# A token, each of its characters escaped, with ample room.
_MAX_BODY: Final = 16 * 1024
_NO_STORE: Final = (b"cache-control", b"no-store")


async def log_in(exchange: Exchange, services: ConsoleServices) -> None:
    """Answer 204 with the cookie to ``{"token": "…"}``; without one where no token is set.

    Raises BadRequest, or Unauthorized where it is not the server's token.
    """
    limit = min(_MAX_BODY, services.max_body)
    body = await services.core.bodies.read(exchange.receive, limit, exchange.headers)
    fields = await services.core.turns.run(read_object(body.data))
    given = json.loads(fields.get("token") or b"null")
    if not isinstance(given, str):
        raise BadRequest("'token' must be a string.")
    token = exchange.policy.token
    if not token:
        await exchange.respond(204, [_NO_STORE])
        return
    # JSON can say a lone surrogate, which UTF-8 has no room for.
    if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode()):
        raise Unauthorized("This is not the server's token; it is what TAILRACE_TOKEN says there.")
    cookie = begin_session(_host(exchange), token, secure=_is_secure(exchange))
    await exchange.respond(204, [cookie, _NO_STORE])


async def log_out(exchange: Exchange, services: ConsoleServices) -> None:  # noqa: ARG001 - a handler
    """Answer 204 that has the browser forget the cookie, whether it had one or not."""
    cookie = end_session(_host(exchange), secure=_is_secure(exchange))
    await exchange.respond(204, [cookie, _NO_STORE])


def _host(exchange: Exchange) -> str:
    return (exchange.header(b"host") or b"").decode("latin-1").strip().lower()


def _is_secure(exchange: Exchange) -> bool:
    """Whether the browser came by https. Its Origin says so where TLS ended before us."""
    origin = (exchange.header(b"origin") or b"").lower()
    return exchange.scheme == "https" or origin.startswith(b"https://")
