"""A stream as what a handler of Starlette or FastAPI returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tailrace.web.error_responses import problem

StreamSender: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""Answers any request with one stream: ``Streams.send`` with its handle and view."""


class StreamResponse(Response):
    """Sends a stream as the protocol would; its status and most headers are known only then.

    ``headers`` and cookies that are set on it are added to what the stream says.
    """

    def __init__(
        self,
        stream: StreamSender,
        *,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.status_code = 200
        self.background = background
        self.body = b""
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in (headers or {}).items()
        ]
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.raw_headers]
            await send(message)

        await self._stream(scope, receive, add)
        if self.background is not None:
            await self.background()


async def problem_response(request: Request, error: Exception) -> Response:
    """An exception handler: errors of ours, raised in the application's handlers, as HTTP.

    ``FastAPI(exception_handlers={TailraceError: problem_response})``. Without it they are 500s.
    """
    answer = problem(error, request.url.path)
    response = Response(answer.body, answer.status)
    response.raw_headers = list(answer.headers)
    return response
