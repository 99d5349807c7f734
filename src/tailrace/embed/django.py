"""A stream as what an asynchronous view of Django returns, under an ASGI server.

A view has to know status and headers before the body, and Django brings the body to the server
itself. So the stream is asked for as over ASGI, and what it answers is handed on piece by piece:
at most one waits here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase, StreamingHttpResponse

from tailrace.embed.asgi import Message
from tailrace.embed.handle import Handle
from tailrace.embed.streams import Streams


async def response(
    streams: Streams, handle: Handle, request: ASGIRequest, *, view: str = "sse"
) -> HttpResponseBase:
    """The response of a view; arguments as for ``Streams.send``."""
    exchange = _Exchange()
    exchange.task = asyncio.create_task(
        streams.send(handle, request.scope, exchange.receive, exchange.send, view=view)
    )
    head = await exchange.head()
    answer = _Response(exchange)
    answer.status_code = head["status"]
    del answer.headers["Content-Type"]
    for name, value in head["headers"]:
        _set(answer, name.decode("latin-1"), value.decode("latin-1"))
    return answer


def _set(answer: StreamingHttpResponse, name: str, value: str) -> None:
    """Django has each field once; those that came twice are lists (RFC 9110, 5.3)."""
    there = answer.headers.get(name)
    answer.headers[name] = value if there is None else f"{there}, {value}"


class _Exchange:
    """The server's side of ASGI, for one request."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self._gone: Final = asyncio.Event()
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=1)

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self._messages.put(message)

    async def head(self) -> Message:
        message = await self._next()
        assert message is not None  # noqa: S101 - every answer of ours has a head
        return message

    async def _next(self) -> Message | None:
        """The next message; None once there is none to come. Raises what the sender raised."""
        getting = asyncio.ensure_future(self._messages.get())
        await asyncio.wait((getting, self.task), return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        getting.cancel()
        self.task.result()
        return None

    async def body(self) -> AsyncIterator[bytes]:
        try:
            while (message := await self._next()) is not None:
                if message.get("body"):
                    yield message["body"]
        finally:
            self.leave()

    def leave(self) -> None:
        """The client is gone, or has everything."""
        self._gone.set()
        while not self._messages.empty():
            self._messages.get_nowait()  # whoever waits to send has nobody to send to


class _Response(StreamingHttpResponse):  # type: ignore[misc]
    def __init__(self, exchange: _Exchange) -> None:
        super().__init__(exchange.body())
        self._exchange = exchange

    def close(self) -> None:
        self._exchange.leave()
        super().close()
