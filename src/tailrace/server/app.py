"""The ASGI application: who asks, for what, may they, and who answers.

Works under any ASGI server. ``drain`` is to be called before the server waits for its
connections: it ends the sources, lets the readers go, and from then on nothing new begins.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import MutableMapping
from typing import Any, Final

from tailrace.access import policy
from tailrace.access.policy import Policy, RequestFacts, Right
from tailrace.errors import ShuttingDown, TailraceError
from tailrace.model import EndingKind
from tailrace.server.routes import SERVER, Table, find_endpoint
from tailrace.web.access_log import AccessLog, Receive, Send
from tailrace.web.bodies import ClientGone
from tailrace.web.error_responses import problem
from tailrace.web.exchange import Aborted, Exchange, make_exchange
from tailrace.web.services import Services
from tailrace.wire.sse import encode_retry

logger = logging.getLogger(__name__)

# Readers that are let go come back spread over these milliseconds: late enough for a restart,
# soon enough not to be missed, and not all at once.
_RETRY: Final = (1000, 5000)


class Application:
    """``await app(scope, receive, send)``."""

    def __init__(
        self, services: Services, policy: Policy, log: AccessLog, table: Table = SERVER
    ) -> None:
        self._services = services
        self._policy = policy
        self._log = log
        self._table = table
        self._departure = asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"no {scope['type']} here")
        entry = self._log.begin(scope["method"])
        exchange = make_exchange(
            scope,
            entry.watch_receive(receive),
            entry.watch_send(send),
            entry,
            self._departure,
            roots=self._table.roots,
        )
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - an ASGI server runs us in a task
        self._running.add(task)
        try:
            await self._serve(exchange, scope)
        finally:
            self._running.discard(task)
            if not exchange.goes_on:
                entry.end()

    async def _serve(self, exchange: Exchange, scope: MutableMapping[str, Any]) -> None:
        try:
            await self._dispatch(exchange, scope)
        except ClientGone:
            exchange.entry.left = True
        except Aborted:
            raise
        except asyncio.CancelledError:
            if not self._departure.is_set():
                raise
            await self._refuse(exchange, ShuttingDown("The server is going away; try again."))
        except TailraceError as error:
            await self._refuse(exchange, error)
        except Exception as error:
            # The traceback shows code and not values: nothing secret is in it.
            logger.exception("a request failed")
            await self._refuse(exchange, error)

    async def _dispatch(self, exchange: Exchange, scope: MutableMapping[str, Any]) -> None:
        route = self._table.find(exchange.path)
        exchange.entry.route = route.template
        preflight = policy.is_preflight(exchange.method, exchange.headers)
        endpoint = None if preflight else find_endpoint(route, exchange.method)
        facts = RequestFacts.from_headers(
            exchange.method,
            endpoint.right if endpoint else Right.PUBLIC,
            exchange.headers,
            scheme=scope.get("scheme", "http"),
            http_version=scope["http_version"],
        )
        exchange.extra = policy.cors_headers(self._policy, facts)
        if endpoint is None:
            fields = policy.preflight(self._policy, facts, route.methods)
            exchange.extra = ()
            await exchange.respond(204, fields)
            return
        grant = policy.decide(self._policy, facts)
        exchange.extra = grant.headers
        exchange.headers = grant.without_token(exchange.headers)
        exchange.guest = grant.guest
        if self._departure.is_set():
            raise ShuttingDown("The server is going away; try again in a moment.")
        await endpoint.handle(exchange, self._services)

    async def _refuse(self, exchange: Exchange, error: BaseException) -> None:
        if exchange.started:
            exchange.abort()
            return
        if isinstance(error, ShuttingDown) and exchange.accepts_events():
            await self._send_back(exchange)
            return
        answer = problem(error, exchange.path, exchange.roots)
        await exchange.respond(answer.status, answer.headers, answer.body)

    @staticmethod
    async def _send_back(exchange: Exchange) -> None:
        """EventSource gives up for good on a 503; when the connection ends it comes back."""
        if exchange.connection is not None:
            exchange.abort()
            return
        retry = encode_retry(random.randint(*_RETRY))  # noqa: S311 - jitter, not a secret
        fields = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await exchange.respond(200, fields, retry)

    # --- shutting down ------------------------------------------------------------------------

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - the deadline is the caller's
        """Let readers go, end sources, and wait up to ``timeout`` seconds for requests to end.

        Call it once the server accepts no more connections and before it waits for those it has:
        a response that goes on without its request's task is over with its connection.
        """
        self._departure.set()
        catalogue = self._services.catalogue
        catalogue.send_off(lambda: random.randint(*_RETRY))  # noqa: S311 - jitter, not a secret
        catalogue.end_sources(EndingKind.INTERRUPTED, "The server was shut down.")
        if self._running:
            await asyncio.wait(self._running, timeout=timeout)
        for task in self._running:
            task.cancel()
