"""What becomes of one request: written while it runs, told to the observer when it is over."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from tailrace.contracts import EndedRequest, Observer

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Outcome:
    """One request while it runs. Set ``route`` once it is known; ``end`` tells the observer."""

    __slots__ = (
        "_complete",
        "_observer",
        "_started",
        "_timer",
        "aborted",
        "left",
        "method",
        "route",
        "size",
        "status",
    )

    def __init__(
        self, observer: Observer, method: str, timer: Callable[[], float] = time.monotonic
    ) -> None:
        """``timer`` gives seconds that never go back."""
        self._observer: Observer | None = observer
        self._timer = timer
        self._started = timer()
        self._complete = False
        self.method = method
        self.route = ""
        """A pattern of the route table such as ``/streams/chat/{id}``, never a path."""
        self.status = 0
        """0 until a response began."""
        self.size = 0
        """Bytes of body handed to the server."""
        self.left = False
        """Whether the client went before its response was whole."""
        self.aborted = False
        """Whether the response's end was left out on purpose."""

    def watch_receive(self, receive: Receive) -> Receive:
        """An ASGI ``receive`` that notes the client's leaving."""

        async def watched() -> Message:
            message = await receive()
            # Servers say "disconnect" after a whole response, too, and after our own abort.
            if message["type"] == "http.disconnect" and not (self._complete or self.aborted):
                self.left = True
            return message

        return watched

    def watch_send(self, send: Send) -> Send:
        """An ASGI ``send`` that notes status and size."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            elif not self.left:
                self.size += len(message.get("body", b""))
                self._complete = not message.get("more_body", False)
            await send(message)

        return watched

    def end(self) -> None:
        """Tell the observer. A second call does nothing."""
        observer, self._observer = self._observer, None
        if observer is None:
            return
        seconds = self._timer() - self._started
        observer.request_ended(
            EndedRequest(
                self.method, self.route, self.status, self.size, seconds, self.left, self.aborted
            )
        )
