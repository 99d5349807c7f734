"""One line for each request, written when it is over, and one for each answer, at its ending.

    2026-11-23T09:32:41.123Z GET /streams/chat/{id} 200 51234B 8123.4ms left
    2026-11-23T09:32:41.120Z answer completed stream=01kb5x7q2m id=chatcmpl-1 model=m attempts=1 …

time, method, route, status (``-``: no response began), bytes of body sent, duration; then
``left`` where the client went before its response was whole, and ``aborted`` where we left out
its end on purpose. The route is the *template* that matched: paths hold the secret part of a
link and queries hold prompts, so neither is ever given to this module. As JSON a line is an object
with the same facts under their names.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

UNKNOWN: Final = "-"
"""Stands for a route that was not found and for a request that was not understood."""

# A method is a token (RFC 9110 §9.1), in practice of a few letters. What is not, comes from a
# server that does not check, and could otherwise write lines of its own into the log.
_METHOD: Final = re.compile(r"[A-Za-z-]{1,32}")
# What stands in a line of text without quotes.
_WORD: Final = re.compile(r"[\w.:/@+-]+", re.ASCII)


class Entry:
    """One request while it runs. Set ``route`` once it is known; ``end`` writes the line."""

    __slots__ = (
        "_complete",
        "_log",
        "_started",
        "aborted",
        "left",
        "method",
        "route",
        "size",
        "status",
    )

    def __init__(self, log: AccessLog, method: str, started: float) -> None:
        self._log: AccessLog | None = log
        self._started = started
        self._complete = False
        self.method = method
        self.route = UNKNOWN
        """A template of ours such as ``/streams/chat/{id}``, never a path."""
        self.status = 0
        """0 until a response began."""
        self.size = 0
        """Bytes of body handed to the server."""
        self.left = False
        """The client went before its response was whole."""
        self.aborted = False
        """The response's end was left out on purpose."""

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
        """Write the line. A second call does nothing."""
        log, self._log = self._log, None
        if log is not None:
            log.record(self, self._started)


class AccessLog:
    """Where the lines go. ``write`` gets each without its newline."""

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        *,
        as_json: bool = False,
    ) -> None:
        """``clock`` gives seconds since the epoch, ``timer`` seconds that never go back."""
        self._as_json = as_json
        self._write = write
        self._clock = clock
        self._timer = timer

    @classmethod
    def of_format(cls, write: Callable[[str], None], log_format: Literal["text", "json"]) -> Self:
        """As the setting of that name says."""
        return cls(write, as_json=log_format == "json")

    def begin(self, method: str) -> Entry:
        """A request has come."""
        known = _METHOD.fullmatch(method) is not None
        return Entry(self, method if known else UNKNOWN, self._timer())

    def record(self, entry: Entry, started: float) -> None:
        """Called by the entry itself. A log that cannot be written ends no request."""
        milliseconds = 1000 * (self._timer() - started)
        if self._as_json:
            facts = {
                "method": entry.method,
                "route": entry.route,
                "status": entry.status or None,
                "bytes": entry.size,
                "ms": round(milliseconds, 1),
                "left": entry.left,
                "aborted": entry.aborted,
            }
            self._say_json("request", facts)
            return
        self._say(
            f"{entry.method} {entry.route} {entry.status or UNKNOWN}"
            f" {entry.size}B {milliseconds:.1f}ms"
            f"{' left' if entry.left else ''}{' aborted' if entry.aborted else ''}"
        )

    def answered(self, facts: Mapping[str, Any]) -> None:
        """An answer has ended; ``facts`` have its ``ending``, and nothing of what was said."""
        if self._as_json:
            self._say_json("answer", facts)
            return
        named = [f"{name}={_word(value)}" for name, value in _flat(facts) if name != "ending"]
        self._say(" ".join(["answer", str(facts["ending"]), *named]))

    def _now(self) -> str:
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        return f"{now.removesuffix('+00:00')}Z"

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._write(f"{self._now()} {text}")

    def _say_json(self, event: str, facts: Mapping[str, Any]) -> None:
        line = json.dumps({"time": self._now(), "event": event, **facts}, separators=(",", ":"))
        with contextlib.suppress(OSError):
            self._write(line)


def _flat(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values; those of a mapping within are called after it, what is not known is not."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}_{inner}", each) for inner, each in value.items())
        elif value not in (None, ""):
            yield name, value


def _word(value: object) -> str:
    """A name that a client gave may hold anything, and must not begin a line of its own."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _WORD.fullmatch(text) else json.dumps(text)
