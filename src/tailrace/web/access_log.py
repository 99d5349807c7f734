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
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

from tailrace.contracts import EndedRequest

UNKNOWN: Final = "-"
"""Stands for a route that was not found and for a request that was not understood."""

# A method is a token (RFC 9110 §9.1), in practice of a few letters. What is not, comes from a
# server that does not check, and could otherwise write lines of its own into the log.
_METHOD: Final = re.compile(r"[A-Za-z-]{1,32}")
# What stands in a line of text without quotes.
_WORD: Final = re.compile(r"[\w.:/@+-]+", re.ASCII)


class AccessLog:
    """The observer that writes lines. ``write`` gets each without its newline."""

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        *,
        as_json: bool = False,
    ) -> None:
        """``clock`` gives seconds since the epoch."""
        self._as_json = as_json
        self._write = write
        self._clock = clock

    @classmethod
    def of_format(cls, write: Callable[[str], None], log_format: Literal["text", "json"]) -> Self:
        """Make one as the setting of that name says."""
        return cls(write, as_json=log_format == "json")

    def request_ended(self, request: EndedRequest) -> None:
        """Write the line of a request. A log that cannot be written ends no request."""
        method = request.method if _METHOD.fullmatch(request.method) else UNKNOWN
        route = request.route or UNKNOWN
        milliseconds = 1000 * request.seconds
        if self._as_json:
            facts = {
                "method": method,
                "route": route,
                "status": request.status or None,
                "bytes": request.size,
                "ms": round(milliseconds, 1),
                "left": request.left,
                "aborted": request.aborted,
            }
            self._say_json("request", facts)
            return
        self._say(
            f"{method} {route} {request.status or UNKNOWN}"
            f" {request.size}B {milliseconds:.1f}ms"
            f"{' left' if request.left else ''}{' aborted' if request.aborted else ''}"
        )

    def source_ended(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Write the line of an answer, or of what else has ended."""
        if self._as_json:
            self._say_json(kind, facts)
            return
        named = [f"{name}={_word(value)}" for name, value in _flat(facts) if name != "ending"]
        self._say(" ".join([kind, str(facts["ending"]), *named]))

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
