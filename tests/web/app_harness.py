"""The application itself, asked as an ASGI server asks it; its streams in memory."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from tailrace.access.policy import Policy
from tailrace.chat.routes import ROUTES as CHAT_ROUTES
from tailrace.chat.settings import ChatSettings
from tailrace.chat.use import chat_services
from tailrace.config import Settings
from tailrace.console.overview import Overview
from tailrace.console.services import ConsoleServices
from tailrace.contracts import Observers, Upstreams
from tailrace.log.catalogue import Catalogue
from tailrace.server.app import Application
from tailrace.server.assembly import make_catalogue, make_services
from tailrace.server.routes import server_table
from tailrace.server.uses import namespaces
from tailrace.stores.memory import MemoryStore
from tailrace.streams.routes import mounted
from tailrace.upstream.routing.models import DefaultModel
from tailrace.web.access_log import AccessLog
from tailrace.web.paths import ROOTS
from tailrace.web.routing import RouteTable, bind

WITHIN = 10.0

TEXT = {"content-type": "text/plain"}
JSON = {"content-type": "application/json"}
EVENTS = {"accept": "text/event-stream"}
CLOSE = {"stream-closed": "true"}


class Answer(NamedTuple):
    """A whole response."""

    status: int
    fields: dict[str, str]
    body: bytes


@dataclass
class House:
    """What a test works with."""

    app: Application
    catalogue: Catalogue
    lines: list[str]
    """The access log."""
    table: RouteTable

    async def ask(
        self,
        method: str,
        target: str,
        fields: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        root: str = "",
        leaving: asyncio.Event | None = None,
    ) -> Answer:
        """One request from its head to the end of its response.

        ``root`` is where the application is mounted; ``leaving`` is set when the client leaves.
        """
        path, _, query = target.partition("?")
        given = {"host": "127.0.0.1:80", **(fields or {})}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": root,
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items()],
        }
        sent: list[MutableMapping[str, Any]] = []
        bodies = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            if bodies:
                return bodies.pop()
            await (leaving or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        async with asyncio.timeout(WITHIN):
            await self.app(scope, receive, send)
        return _answer(sent)


def _answer(sent: list[MutableMapping[str, Any]]) -> Answer:
    if not sent:
        return Answer(0, {}, b"")
    fields: dict[str, str] = {}
    for name, value in sent[0]["headers"]:
        assert name.decode() not in fields, f"{name!r} is there twice"
        fields[name.decode()] = value.decode("latin-1")
    return Answer(sent[0]["status"], fields, b"".join(m.get("body", b"") for m in sent[1:]))


@asynccontextmanager
async def at_home(
    settings: Settings | None = None,
    chat: ChatSettings | None = None,
    *,
    is_mount: bool = False,
    **policy: Any,
) -> AsyncIterator[House]:
    """An application whose streams are gone afterwards. ``is_mount``: of streams alone."""
    settings = settings or Settings()
    store = MemoryStore()
    catalogue = make_catalogue(settings, store)
    services = make_services(settings, store, catalogue, namespaces())
    nobody = cast("Upstreams", None)  # nobody asks a model here
    no_model = cast("DefaultModel", SimpleNamespace(name=None))
    answers = chat_services(services, chat or ChatSettings(), nobody, no_model, Observers())
    console = ConsoleServices(services, Overview(catalogue))
    table = server_table(services, console, [bind(CHAT_ROUTES, answers)])
    if is_mount:
        table = RouteTable(bind(mounted(writable=True), services))
    lines: list[str] = []
    rules = Policy(bound_host="127.0.0.1", port=80, token=settings.token or None, **policy)
    roots = ("/",) if is_mount else ROOTS
    app = Application(services, rules, AccessLog(lines.append), table, roots)
    await catalogue.open()
    try:
        yield House(app, catalogue, lines, table)
    finally:
        await catalogue.close()


def asking(scenario: Callable[[House], Coroutine[Any, Any, None]], **given: Any) -> None:
    """Run ``scenario`` with a house of its own, made with ``given``."""

    async def run() -> None:
        async with at_home(**given) as house:
            await scenario(house)

    asyncio.run(run())


def code(answer: Answer) -> str:
    """Of a problem, what it is."""
    assert answer.fields["content-type"] == "application/problem+json"
    found = json.loads(answer.body)["code"]
    assert isinstance(found, str)
    return found


def events_of(body: bytes) -> list[dict[str, str]]:
    """The events of an event stream, each by its fields."""
    blocks = [block for block in body.decode().split("\n\n") if block]
    return [dict(re.findall(r"^(\w+): ?(.*)$", block, re.M)) for block in blocks]


async def made(house: House, name: str, *bodies: str, fields: dict[str, str] = TEXT) -> None:
    """Make a stream and append to it."""
    assert (await house.ask("PUT", f"/streams/{name}", fields)).status == 201
    for body in bodies:
        answer = await house.ask("POST", f"/streams/{name}", fields, body.encode())
        assert answer.status == 204


async def closed(house: House, name: str) -> None:
    """Close it."""
    assert (await house.ask("POST", f"/streams/{name}", CLOSE)).status == 204
