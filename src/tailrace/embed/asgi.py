"""The few things that ASGI asks of an application beyond answering requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from tailrace.errors import Forbidden
from tailrace.web.error_responses import problem
from tailrace.wire.names import name_to_path

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# Whoever gives one of these has said how it wants to read.
_SAID: Final = frozenset({b"live", b"view"})


async def serve_lifespan(
    context: AbstractAsyncContextManager[object], receive: Receive, send: Send
) -> None:
    """Enter ``context`` at startup and leave it at shutdown (ASGI, Lifespan)."""
    await receive()
    try:
        await context.__aenter__()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    try:
        await context.__aexit__(None, None, None)
    except Exception as error:
        await send({"type": "lifespan.shutdown.failed", "message": str(error)})
        return
    await send({"type": "lifespan.shutdown.complete"})


async def refuse(send: Send) -> None:
    """What the guard said no to."""
    answer = problem(Forbidden("This application does not let you have this."), "/")
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


def target(scope: Scope, mount: str, name: str, view: str) -> tuple[Scope, bytes]:
    """The request that asks for stream ``name`` as ``scope`` would, and the stream's path."""
    # Starlette keeps what the server said in app_root_path once a sub-application was entered.
    base = scope.get("app_root_path", scope.get("root_path", "")) + mount
    path = f"{base}/{name}"
    raw = f"{quote(base)}/{name_to_path(name)}".encode("ascii")
    asked = {
        **scope,
        "method": "HEAD" if scope["method"] == "HEAD" else "GET",
        "root_path": base,
        "path": path,
        "raw_path": raw,
    }
    query: bytes = scope.get("query_string", b"")
    said = {piece.partition(b"=")[0] for piece in query.split(b"&")}
    if not (said & _SAID or _wants_events(scope)):
        asked["query_string"] = query + b"&view=" + quote(view).encode()
    return asked, raw


def _wants_events(scope: Scope) -> bool:
    return any(
        name.lower() == b"accept" and b"text/event-stream" in value.lower()
        for name, value in scope["headers"]
    )
