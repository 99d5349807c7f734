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

from tailrace.access import cors
from tailrace.access.policy import Policy
from tailrace.access.principal import identify, without_private_fields
from tailrace.access.request_facts import RequestFacts
from tailrace.contracts import OPEN, Namespace, Observer
from tailrace.errors import RequestError, ShuttingDown, TailraceError
from tailrace.model import EndingKind
from tailrace.web.bodies import ClientGone
from tailrace.web.error_responses import problem
from tailrace.web.exchange import Aborted, Exchange, make_exchange
from tailrace.web.outcome import Outcome, Receive, Send
from tailrace.web.paths import ROOTS, Roots, name_of
from tailrace.web.routing import RouteMatch, RouteTable
from tailrace.web.services import Services
from tailrace.wire.sse import encode_retry

logger = logging.getLogger(__name__)

# Readers that are let go come back spread over these milliseconds: late enough for a restart,
# soon enough not to be missed, and not all at once.
_RETRY: Final = (1000, 5000)


class Application:
    """``await app(scope, receive, send)``."""

    def __init__(
        self,
        services: Services,
        policy: Policy,
        observer: Observer,
        table: RouteTable,
        roots: Roots = ROOTS,
    ) -> None:
        """``roots``: below which paths the streams are."""
        self._services = services
        self.policy = policy
        """What decides about requests from now on; to be replaced as a whole."""
        self._observer = observer
        self._table = table
        self._roots = roots
        self._departure = asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"no {scope['type']} here")
        outcome = Outcome(self._observer, scope["method"])
        exchange = make_exchange(
            scope,
            outcome.watch_receive(receive),
            outcome.watch_send(send),
            outcome,
            self._departure,
            roots=self._roots,
        )
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - an ASGI server runs us in a task
        self._running.add(task)
        try:
            await self._serve(exchange, scope)
        finally:
            self._running.discard(task)
            if not exchange.goes_on:
                outcome.end()

    async def _serve(self, exchange: Exchange, scope: MutableMapping[str, Any]) -> None:
        try:
            await self._dispatch(exchange, scope)
        except ClientGone:
            exchange.outcome.left = True
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
        place = self._table.find(exchange.path)
        namespace = self._namespace(exchange) if place.names_stream else None
        exchange.outcome.route = _route(place, namespace)
        preflight = cors.is_preflight(exchange.method, exchange.headers)
        endpoint = None if preflight else place.endpoint(exchange.method)
        facts = RequestFacts.from_headers(
            exchange.method,
            exchange.headers,
            scheme=scope.get("scheme", "http"),
            http_version=scope["http_version"],
        )
        policy = exchange.policy = self.policy
        exchange.extra = cors.cors_headers(policy, facts)
        exchange.principal = identify(policy, facts)
        if endpoint is None:
            fields = cors.preflight(policy, exchange.principal, facts, place.methods)
            exchange.extra = ()
            await exchange.respond(204, fields)
            return
        exchange.decide(endpoint.right, namespace or OPEN).enforce()
        exchange.headers = without_private_fields(policy, facts, exchange.headers)
        if self._departure.is_set():
            raise ShuttingDown("The server is going away; try again in a moment.")
        await endpoint.handle(exchange)

    def _namespace(self, exchange: Exchange) -> Namespace | None:
        """Return the namespace of the stream that the path names; None for a malformed name."""
        try:
            name = name_of(exchange.path, exchange.roots)
        except RequestError:
            return None
        return self._services.namespaces.of(name)

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


def _route(place: RouteMatch, namespace: Namespace | None) -> str:
    """What the access log calls the route: of a stream's name, its prefix at most."""
    if namespace is None or not namespace.prefix:
        return place.template
    return place.template.replace("{name}", f"{namespace.prefix}{{{namespace.part}}}")
