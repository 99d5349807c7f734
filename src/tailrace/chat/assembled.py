"""A streamed answer as one JSON object: put together in short turns, sent in slices.

How much may be put together is decided by ``assembly_room``. An answer's bytes are counted there,
and for events of many small values those values (``weight``), so that all answers together take
at most 8 x ``max_assembled``.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from tailrace.chat.answers import note_of
from tailrace.chat.services import ChatServices
from tailrace.contracts import Headers
from tailrace.log.cursor import SLICE
from tailrace.log.reading import data_of
from tailrace.log.stream import Stream
from tailrace.patience import timeout
from tailrace.web.exchange import Exchange
from tailrace.wire.json.slices import json_slices
from tailrace.wire.llm.apis import RESPONSES, Api
from tailrace.wire.llm.assemble_chat import ChatAssembly
from tailrace.wire.llm.assemble_responses import ResponseAssembly
from tailrace.wire.llm.assembly import AnswerAssembly, unjoined

# What a value in JSON counts for, told by the comma or the bracket before it: in memory it takes
# up to eight times as much (an object of one member 230 bytes, a short text 100).
_VALUE: Final = 16
_MARKS: Final = (b",", b"[", b"{")


def weight(data: bytes) -> int:
    """What an event counts for."""
    return max(len(data), _VALUE * sum(map(data.count, _MARKS)))


async def assembled(services: ChatServices, api: Api, stream: Stream) -> dict[str, Any]:
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
    exchange: Exchange, services: ChatServices, answer: dict[str, Any], headers: Headers
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
            async with timeout(services.core.rules.viewer_timeout):
                await exchange.write(piece)
            await asyncio.sleep(0)
            piece, following = following, next(slices, None)
    except TimeoutError:
        exchange.abort()
        return
    await exchange.write(b"", more=False)
