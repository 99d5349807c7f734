"""All upstreams: ``contracts.Upstreams``, and ``contracts.Upstream`` for who sees only one."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from tailrace.contracts import Attempts, Call, UpstreamRequest
from tailrace.errors import NoSuchModel
from tailrace.upstream.http.dial import tls_context
from tailrace.upstream.routing.attempts import Candidate, RetryRules, RoutedAttempts
from tailrace.upstream.routing.endpoint import UpstreamEndpoint
from tailrace.upstream.routing.listing import ListAttempts, asks_for_models
from tailrace.upstream.routing.routing import choices, covers, named
from tailrace.upstream.routing.target import Target
from tailrace.wire.redaction import Redactor

# A name is quoted in an error up to this length: any model's has room.
_NAME_LIMIT: Final = 100


class Router:
    """At least one target. ``environ`` holds the proxy variables; ``tls`` is as for HttpUpstream.

    ``draw`` gives random numbers in [0, 1). Make it on a running loop. Raises ConfigError for a
    malformed URL, key or proxy variable.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        rules: RetryRules,
        *,
        environ: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        draw: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._environ = environ or {}
        self._tls = tls
        self._draw = draw
        self._wall = wall
        self._retired: set[UpstreamEndpoint] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self.redact: Final = Redactor()
        """Knows every key that is or was ours."""
        self._endpoints = [self._make(target) for target in targets]
        self._remember_keys()

    # --- as contracts.Upstreams ---------------------------------------------------------------

    def attempts(self, request: UpstreamRequest) -> Attempts:
        """As in the contract. ``GET /models`` is asked of all, where there are several."""
        if self._is_plain or not asks_for_models(request):
            return self._attempts(request, lambda: self._route(request.model))
        return ListAttempts(
            [
                (endpoint.target.spec, self._attempts(request, partial(_only, endpoint)))
                for endpoint in self._endpoints
            ]
        )

    def disconnect(self, model: str) -> str:
        """As in the contract: what is said of the first upstream that names or covers it."""
        specs = [endpoint.target.spec for endpoint in self._endpoints]
        by_name = (spec for spec in specs if named(spec, model) is not None)
        by_glob = (spec for spec in specs if covers(spec, model))
        spec = next(by_name, None) or next(by_glob, None)
        return spec.disconnect if spec is not None else ""

    async def close(self) -> None:
        """Close every connection. Running answers are cut."""
        endpoints = [*self._endpoints, *self._retired]
        await asyncio.gather(*(endpoint.close() for endpoint in endpoints), *self._closing)

    # --- as contracts.Upstream ----------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """The one upstream's; empty where there are several."""
        return self._endpoints[0].base_url if len(self._endpoints) == 1 else ""

    async def ask(self, request: UpstreamRequest) -> Call:
        """The first answer. Raises what ``Attempts.next`` does, and NoSuchModel."""
        return await self.attempts(request).next()

    # --- for the operator ---------------------------------------------------------------------

    @property
    def targets(self) -> tuple[Target, ...]:
        """The upstreams as they are asked now, in the configuration's order."""
        return tuple(endpoint.target for endpoint in self._endpoints)

    def replace(self, targets: Sequence[Target]) -> None:
        """Ask these from now on; at least one. No running answer is touched.

        One of the same name, URL, keys and clocks keeps its connections and what is known of its
        health; another is let go, and closed when the last of its answers has ended. Raises
        ConfigError as the constructor does, and then nothing has changed.
        """
        self.prepare(targets)()

    def prepare(self, targets: Sequence[Target]) -> Callable[[], None]:
        """Do what ``replace`` does as far as it may fail, and return the rest, which does not."""
        kept = {endpoint.name: endpoint for endpoint in self._endpoints}
        after: list[tuple[UpstreamEndpoint, Target]] = []
        for target in targets:
            old = kept.get(target.spec.name)
            if old is None or not old.target.same_connection(target):
                old = self._make(target)
            after.append((old, target))
        return lambda: self._adopt(after)

    # --- inside -------------------------------------------------------------------------------

    @property
    def _is_plain(self) -> bool:
        """Whether what the one upstream lists is what clients may ask for."""
        return len(self._endpoints) == 1 and not self._endpoints[0].target.spec.aliases

    def _make(self, target: Target) -> UpstreamEndpoint:
        if self._tls is None and target.spec.url.lower().startswith("https:"):
            self._tls = tls_context()  # the system's authorities, some 300 files, read once
        return UpstreamEndpoint(target, self._environ, self._tls)

    def _attempts(
        self, request: UpstreamRequest, route: Callable[[], Sequence[Candidate]]
    ) -> RoutedAttempts:
        return RoutedAttempts(request, route, self._rules, self._draw, self._wall)

    def _route(self, model: str) -> list[Candidate]:
        endpoints = self._endpoints
        specs = [endpoint.target.spec for endpoint in endpoints]
        found = [
            Candidate(endpoints[place], name) for place, name in choices(specs, model, self._draw)
        ]
        if not found:
            raise NoSuchModel(
                f"No upstream answers for the model {model[:_NAME_LIMIT]!r}; GET /v1/models lists "
                "those that can be asked."
            )
        return found

    def _adopt(self, after: Sequence[tuple[UpstreamEndpoint, Target]]) -> None:
        before, self._endpoints = self._endpoints, [endpoint for endpoint, _ in after]
        for endpoint, target in after:
            endpoint.adopt(target)
        self._remember_keys()
        for endpoint in before:
            if endpoint not in self._endpoints:
                self._retire(endpoint)

    def _remember_keys(self) -> None:
        """Keys of upstreams that are no more stay: their last answers may still echo them."""
        self.redact.remember(
            key.encode() for endpoint in self._endpoints for key in endpoint.target.keys
        )

    def _retire(self, endpoint: UpstreamEndpoint) -> None:
        self._retired.add(endpoint)

        def close() -> None:
            self._retired.discard(endpoint)
            closing = asyncio.get_running_loop().create_task(endpoint.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

        endpoint.retire(close)


def _only(endpoint: UpstreamEndpoint) -> list[Candidate]:
    if endpoint.retired:
        raise NoSuchModel(f"The upstream {endpoint.name!r} is no longer asked.")
    return [Candidate(endpoint, "")]
