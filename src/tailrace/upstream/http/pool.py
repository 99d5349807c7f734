"""Idle connections to one upstream, kept for the next request."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from tailrace.upstream.http.connection import UpstreamConnection

# How long an upstream keeps an idle connection: llama.cpp and uvicorn 5 s, nginx 75 s, cloud
# front ends minutes. The early closers are noticed when they close, so the limit need only
# bound how long we hold a socket that nobody uses.
IDLE_SECONDS: Final = 30.0
# A burst leaves as many idle connections as it had answers at once. More than these would
# only be kept for a second burst within IDLE_SECONDS.
IDLE_LIMIT: Final = 64


class Pool:
    """Last in, first out: the connection used last is the least likely to be dead."""

    def __init__(self, seconds: float = IDLE_SECONDS, limit: int = IDLE_LIMIT) -> None:
        self._seconds = seconds
        self._limit = limit
        self._idle: deque[tuple[float, UpstreamConnection]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def take(self) -> UpstreamConnection | None:
        """An idle connection that, as far as we heard, is still alive."""
        while self._idle:
            _, connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    def put(self, connection: UpstreamConnection) -> None:
        """Keep a connection, or close it where it cannot be used again."""
        if not connection.usable:
            connection.abort()
            return
        if len(self._idle) >= self._limit:
            self._idle.popleft()[1].abort()
        self._idle.append((connection.loop.time() + self._seconds, connection))
        if self._timer is None:
            self._expire(connection.loop)

    def close(self) -> None:
        """Close all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle:
            self._idle.pop()[1].abort()

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._idle and self._idle[0][0] <= loop.time():
            self._idle.popleft()[1].abort()
        if self._idle:
            self._timer = loop.call_at(self._idle[0][0], self._expire, loop)
