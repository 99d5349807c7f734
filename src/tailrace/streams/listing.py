"""``/streams``: the list of streams."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final
from urllib.parse import parse_qs

from tailrace.contracts import Right
from tailrace.errors import BadRequest
from tailrace.model import StreamInfo
from tailrace.web.exchange import Exchange
from tailrace.web.paths import stream_url
from tailrace.web.services import Services
from tailrace.web.stream_description import described_ending, noted

# A page of the list: enough for a screen, and at most as many as one answer of the store.
_PAGE: Final = 50
_PAGE_MAX: Final = 500
# Streams of it that are described at a time: half a millisecond.
_STEP: Final = 50
_FIELDS: Final = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


async def listing(exchange: Exchange, services: Services) -> None:
    """GET /streams?prefix=…&limit=…&before=…: newest first, a page at a time.

    Lists the streams that who asks may read. A page may be short although more follows: then, as
    always, ``next`` is not null.
    """
    query = parse_qs(exchange.query.decode("latin-1"), errors="replace")
    prefix = query.get("prefix", [""])[0]
    before = query.get("before", [""])[0]
    limit = _limit(query.get("limit", [str(_PAGE)])[0])
    described: list[bytes] = []
    while True:
        asked = min(_STEP, limit - len(described))
        page = await services.catalogue.page(prefix, before=before, limit=asked)
        described += [
            _as_json(_described(info, exchange))
            for info in page.streams
            if exchange.decide(Right.READ_LINK, services.namespaces.of(info.name)).allowed
        ]
        before = page.looked_to or (page.streams[-1].generation if page.streams else "")
        if len(page.streams) < _STEP or len(described) == limit:
            break
        await asyncio.sleep(0)
    more = page.looked_to or len(page.streams) == asked
    total = {"streams": page.total_streams, "bytes": page.total_size}
    body = b'{"streams": [%b], "next": %b, "total": %b}' % (
        b", ".join(described),
        _as_json(before if more else None),
        _as_json(total),
    )
    await exchange.respond(200, _FIELDS, body)


def _as_json(value: object) -> bytes:
    return json.dumps(value).encode("ascii")


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _PAGE_MAX:
        return int(text[:6])
    raise BadRequest(f"'limit' must be a whole number from 1 to {_PAGE_MAX}.")


def _described(info: StreamInfo, exchange: Exchange) -> dict[str, Any]:
    described = {
        "name": info.name,
        "url": stream_url(info.name, exchange.base, exchange.roots),
        "content_type": info.content_type,
        "created": info.created,
        "source": info.source or None,
        "events": info.last_seq,
        "bytes": info.size,
        "offset": str(info.tail),
        "ending": described_ending(info.ending),
    }
    return described | noted(info.note)
