"""A model API that does exactly what a test says: the scripted upstream.

    async with ScriptedUpstream() as up:
        up.script(stream(role_chunk(), chunk("Hel"), chunk("lo"), gate="token"))
        ...  # point a client at up.base_url
        up.gate("token").admit()

It listens on a free loopback port. What a POST gets is, the first that applies: the script that
the request names (``script:NAME`` as its model or in its last message or prompt, NAME a key of
``up.scripts``); the next one of the queue that ``up.script()`` fills; the default, a short
friendly answer, streamed or not as it was asked for. ``GET …/models`` lists ``models``.

``python -m tailrace.testing`` runs one on its own (see `tailrace.testing.demo`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias

from tailrace.testing.apis import api_at
from tailrace.testing.chunks import MODEL, chat_chunks, completion, error_body, model_list
from tailrace.testing.connection import ScriptedConnection
from tailrace.testing.exchange import Bell, Gate, ScriptedExchange
from tailrace.testing.script import Script, respond, stream

Reply: TypeAlias = Script | Callable[[ScriptedExchange], Script]
"""A script, or what makes one of the request."""

HELLO: Final = ("Hello", ", ", "world", "! ", "I am ", "a scripted ", "upstream", ".")


def answer(*texts: str) -> Reply:
    """A well-behaved answer that says ``texts``, a chunk each, in the API that is asked.

    It honours ``stream`` of the request, in a chat ``n`` and ``stream_options.include_usage``,
    too, and gives its model back.
    """

    def make(exchange: ScriptedExchange) -> Script:
        api, asked = api_at(exchange.target), exchange.asked
        model, choices = asked.get("model", MODEL), asked.get("n") or 1
        if api.name != "chat":
            whole = api.whole(texts, model)
            streamed = exchange.streaming
            return stream(*api.answer(texts, model).events) if streamed else respond(200, whole)
        if not exchange.streaming:
            return respond(200, completion(texts, choices=choices, model=model))
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        return stream(*chat_chunks(texts, choices=choices, include_usage=usage, model=model))

    return make


class ScriptedUpstream:
    """The server; an async context manager.

    ``default`` answers where no script was chosen, ``scripts`` are those that requests may name.
    ``tls`` makes it speak TLS with that context. An exception in a reply's function is raised
    when the context is left.
    """

    def __init__(
        self,
        default: Reply | None = None,
        scripts: Mapping[str, Reply] | None = None,
        *,
        models: Sequence[str] = (MODEL,),
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.default: Reply = answer(*HELLO) if default is None else default
        self.scripts: dict[str, Reply] = dict(scripts or {})
        self.models = models
        self.requests: list[ScriptedExchange] = []
        """Every request so far, GETs too, in the order they were complete."""
        self.connections = 0
        """How many connections were ever made."""
        self.bell = Bell()
        self._tls = tls
        self._port = port
        self._queue: deque[Reply] = deque()
        self._gates: dict[str, Gate] = {}
        self._open: set[ScriptedConnection] = set()
        self._server: asyncio.Server | None = None
        self._failure: Exception | None = None

    # --- for the test -------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The server's root, without a slash at the end."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """What an SDK takes as ``base_url``, and Tailrace as ``--upstream``."""
        return f"{self.url}/v1"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    def script(self, *replies: Reply) -> None:
        """Answer the next POSTs that name no script with these, one each."""
        self._queue.extend(replies)

    def gate(self, name: str) -> Gate:
        """The gate at which `Wait` steps of that name stand."""
        return self._gates.setdefault(name, Gate(self.bell))

    async def request(self, number: int = 1, within: float = 10.0) -> ScriptedExchange:
        """The ``number``-th request, from 1, waiting for it; raises TimeoutError."""
        if not await self.bell.until(lambda: len(self.requests) >= number, within):
            raise TimeoutError(f"{len(self.requests)} of {number} requests within {within} s")
        return self.requests[number - 1]

    def drop_idle(self) -> None:
        """Close every connection on which nothing is being answered, without a word.

        As some servers do with kept connections; a client may learn of it only by using one.
        """
        for connection in [each for each in self._open if each.idle]:
            connection.close()

    async def start(self) -> None:
        """Begin to listen; ``base_url`` holds from here on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ScriptedConnection(self), "127.0.0.1", self._port, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end every connection; raises what a reply's function raised."""
        if self._server is None:
            return
        self._server.close()
        serving = [each.serving for each in self._open if each.serving is not None]
        for connection in list(self._open):
            connection.abort()
        await asyncio.gather(*serving, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # --- for its connections ------------------------------------------------------------------

    def enter(self, connection: ScriptedConnection) -> int:
        self.connections += 1
        self._open.add(connection)
        return self.connections

    def leave(self, connection: ScriptedConnection) -> None:
        self._open.discard(connection)

    def failed(self, error: Exception) -> None:
        self._failure = self._failure or error

    def choose(self, exchange: ScriptedExchange) -> Script:
        self.requests.append(exchange)
        self.bell.ring()
        if exchange.method != "POST":
            return self._look_up(exchange)
        reply = self._reply(exchange.marker)
        return reply if isinstance(reply, Script) else reply(exchange)

    def _reply(self, marker: str) -> Reply:
        if marker:
            known = ", ".join(sorted(self.scripts)) or "none"
            refusal = error_body(
                f"No script {marker}; known: {known}", kind="invalid_request_error"
            )
            return self.scripts.get(marker) or respond(404, refusal)
        return self._queue.popleft() if self._queue else self.default

    def _look_up(self, exchange: ScriptedExchange) -> Script:
        if exchange.method == "GET" and exchange.target.partition("?")[0].endswith("/models"):
            return respond(200, model_list(self.models))
        return respond(404, error_body("Not found", kind="invalid_request_error"))
