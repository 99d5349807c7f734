"""What a scripted upstream knows of one request: what was asked, and how its client fared."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any

# A request names its script in the model, or anywhere in the text of its last message.
_MARKER = re.compile(r"\bscript:([\w.-]+)")


# Where requests of the four APIs have what is to be answered.
_MESSAGES = ("messages", "input", "prompt")


def _said(messages: object) -> str:
    """The text of the last message, or of one that is text or parts by itself."""
    last = messages[-1] if isinstance(messages, list) and messages else messages
    content = last.get("content", last.get("text")) if isinstance(last, dict) else last
    return _said(content) if content and isinstance(content, list) else str(content or "")


class Bell:
    """Wakes those who wait for something to become true."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Let everybody look again."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def until(self, holds: Callable[[], bool], within: float | None) -> bool:
        """Whether ``holds()`` became true ``within`` so many seconds; None waits for ever."""
        try:
            async with asyncio.timeout(within):
                while not holds():
                    await self._rung.wait()
        except TimeoutError:
            return holds()
        return True


class Gate:
    """Where scripts wait for the test. Every `Wait` step of one name stands at the same gate."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._passes = 0
        self._opened = False
        self.arrivals = 0
        """How many Wait steps have come to this gate so far."""

    def open(self) -> None:
        """Let through everyone, now and later."""
        self._opened = True
        self._bell.ring()

    def admit(self, count: int = 1) -> None:
        """Let through ``count`` more, whether they are here already or come later."""
        self._passes += count
        self._bell.ring()

    async def reached(self, arrivals: int = 1, within: float = 10.0) -> None:
        """Return once so many Wait steps have come here; raises TimeoutError."""
        if not await self._bell.until(lambda: self.arrivals >= arrivals, within):
            raise TimeoutError(f"{self.arrivals} of {arrivals} arrivals within {within} s")

    async def stand(self) -> None:
        """Wait here; what a script does. When its client leaves, the connection cancels it."""
        self.arrivals += 1
        self._bell.ring()
        await self._bell.until(lambda: self._opened or self._passes > 0, within=None)
        self._passes -= 0 if self._opened else 1


class ScriptedExchange:
    """One request, whole, and what became of its answer."""

    def __init__(self, bell: Bell, *, connection: int) -> None:
        self._bell = bell
        self.connection = connection
        """The number of the connection it came on, from 1: equal numbers mean reuse."""
        self.method = ""
        self.target = ""
        self.version = ""
        self.headers: list[tuple[str, str]] = []
        """In the order they came, names in lower case."""
        self.body = b""
        self.sent = 0
        """Bytes of the answer that the kernel has taken, framing and head included."""
        self.answered = False
        """Whether the script ran to its end."""
        self.left_at: float | None = None
        """When (``time.monotonic()``) the client closed before the end of the script."""

    def __repr__(self) -> str:
        return f"<{self.method} {self.target} sent={self.sent} answered={self.answered}>"

    def header(self, name: str) -> str | None:
        """The first field of that name, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self) -> Any:  # noqa: ANN401 - a test knows what it sent
        """The body as JSON; raises ValueError where it is none."""
        return json.loads(self.body)

    @property
    def asked(self) -> dict[str, Any]:
        """The body's JSON object; empty where the body is none."""
        try:
            asked = self.json()
        except ValueError:
            return {}
        return asked if isinstance(asked, dict) else {}

    @property
    def left(self) -> bool:
        """Whether the client went away before the script came to its end."""
        return self.left_at is not None

    @property
    def streaming(self) -> bool:
        """Whether a streamed answer was asked for."""
        return self.asked.get("stream") is True

    @property
    def marker(self) -> str:
        """The NAME of the first ``script:NAME`` in the model or in the last message, or ''.

        A text completion's prompt and a Response's input are messages, too.
        """
        asked = self.asked
        for text in (asked.get("model"), *map(_said, map(asked.get, _MESSAGES))):
            if isinstance(text, str) and (match := _MARKER.search(text)):
                return match[1]
        return ""

    async def disconnected(self, within: float = 10.0) -> bool:
        """Whether, ``within`` so many seconds, the client left before the script ended."""
        await self._bell.until(lambda: self.left or self.answered, within)
        return self.left

    async def finished(self, within: float = 10.0) -> bool:
        """Whether, ``within`` so many seconds, the script ran to its end."""
        await self._bell.until(lambda: self.left or self.answered, within)
        return self.answered

    def mark_left(self) -> None:
        """Note that the client is gone; what the connection does."""
        self.left_at = time.monotonic()
        self._bell.ring()

    def mark_answered(self) -> None:
        """Note that the script is through; what the connection does."""
        self.answered = True
        self._bell.ring()
