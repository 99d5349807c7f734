"""A streamed answer as one JSON object: put together in short turns, sent in slices.

    the answer's events have              it is
    ------------------------------------  ----------------------------------------------------
    more than ``max_assembled`` bytes     refused, 413: it can be read as a stream
    more than SMALL, and with all others  refused, 429, until one of those has been sent
    that are being sent more than that
    anything less                         put together

What it takes in memory is counted by its bytes, and for what has many small values by those
(``weight``), so that all answers together take at most 8 x ``max_assembled``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tailrace.chat.answers import note_of
from tailrace.contracts import Headers
from tailrace.errors import AnswerTooLarge, TooMany
from tailrace.log.cursor import SLICE
from tailrace.log.reading import data_of
from tailrace.log.stream import Stream
from tailrace.patience import timeout
from tailrace.web.exchange import Exchange
from tailrace.web.services import Services
from tailrace.wire.json.slices import json_slices
from tailrace.wire.llm.apis import RESPONSES, Api
from tailrace.wire.llm.assemble_chat import ChatAssembly
from tailrace.wire.llm.assemble_responses import ResponseAssembly
from tailrace.wire.llm.assembly import AnswerAssembly, unjoined

# Bytes of events of an answer that is always put together: long ones have a tenth of it.
SMALL: Final = 256 * 1024
# What a value in JSON counts for, told by the comma or the bracket before it: in memory it takes
# up to eight times as much (an object of one member 230 bytes, a short text 100).
_VALUE: Final = 16
_MARKS: Final = (b",", b"[", b"{")


class AssemblyRoom:
    """How much may be put together at a time."""

    def __init__(self, limit: int) -> None:
        """``limit``: bytes of events, of one answer and of all."""
        self.limit: Final = limit
        self._held = 0

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """While an answer of ``size`` bytes of events is in memory.

        Raises AnswerTooLarge or TooMany.
        """
        if size > self.limit:
            raise self.too_large()
        if size > SMALL and self._held + size > self.limit:
            raise TooMany("As many large answers are being sent as may; ask again in a moment.")
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    def too_large(self) -> AnswerTooLarge:
        """The refusal of what is over the limit."""
        return AnswerTooLarge(
            f"This answer is larger than what is put together here ({self.limit} bytes, "
            "max_assembled); read it as a stream, with ?stream=true."
        )


def weight(data: bytes) -> int:
    """What an event counts for."""
    return max(len(data), _VALUE * sum(map(data.count, _MARKS)))


async def assembled(services: Services, api: Api, stream: Stream) -> dict[str, Any]:
    """The object that the API would have answered with, as far as the answer has come.

    Its long texts are ``Pieces``. Raises AnswerTooLarge.
    """
    assembly: AnswerAssembly = ResponseAssembly() if api is RESPONSES else ChatAssembly()
    room = services.assembling
    held = 0
    async for data in data_of(stream):
        held += weight(data)
        if held > room.limit:
            raise room.too_large()
        assembly.add(data)
    ending = stream.ending
    kind, reason = (ending.kind, ending.reason) if ending else (None, "")
    answer = assembly.result(kind, reason, unjoined)
    if note_of(stream).get("background"):
        answer["background"] = True
    return answer


async def send_assembled(
    exchange: Exchange, services: Services, answer: dict[str, Any], headers: Headers
) -> None:
    """Send what ``assembled`` gave, as ``Exchange.respond_json`` does, but in slices.

    A client that takes nothing for ``viewer_timeout`` is let go.
    """
    fields = [
        (b"content-type", b"application/json"), (b"cache-control", b"no-store"), *headers
    ]  # fmt: skip
    slices = json_slices(answer, SLICE)
    first = next(slices, b"")
    following = next(slices, None)
    if following is None:
        await exchange.respond(200, fields, first)
        return
    await exchange.start(200, fields)
    piece: bytes | None = first
    try:
        while piece is not None:
            async with timeout(services.rules.viewer_timeout):
                await exchange.write(piece)
            await asyncio.sleep(0)
            piece, following = following, next(slices, None)
    except TimeoutError:
        exchange.abort()
        return
    await exchange.write(b"", more=False)
