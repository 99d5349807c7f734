"""``/streams``: the list of streams."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn
from urllib.parse import parse_qs

from tailrace.errors import BadRequest
from tailrace.model import Ending, StreamInfo
from tailrace.server.addresses import stream_url
from tailrace.server.exchange import Exchange
from tailrace.server.services import Services

# A page of the list: enough for a screen, and at most as many as one answer of the store.
_PAGE: Final = 50
_PAGE_MAX: Final = 500


async def listing(exchange: Exchange, services: Services) -> None:
    """GET /streams?prefix=…&limit=…&before=…: newest first, a page at a time."""
    query = parse_qs(exchange.query.decode("latin-1"), errors="replace")
    prefix = query.get("prefix", [""])[0]
    before = query.get("before", [""])[0]
    limit = _limit(query.get("limit", [str(_PAGE)])[0])
    page = await services.catalogue.page(prefix, before=before, limit=limit)
    body = {
        "streams": [_described(info, exchange) for info in page.streams],
        "next": page.streams[-1].generation if len(page.streams) == limit else None,
        "total": {"streams": page.total_streams, "bytes": page.total_size},
    }
    await exchange.respond_json(body)


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


def described_ending(ending: Ending | None) -> dict[str, Any] | None:
    """An ending, for JSON."""
    if ending is None:
        return None
    return {"kind": ending.kind.value, "reason": ending.reason, "time": ending.time}


def noted(note: bytes) -> dict[str, Any]:
    """The member ``note``, where something is noted of a stream, and as JSON."""
    try:
        return {"note": json.loads(note, parse_constant=_refuse)}
    except (ValueError, RecursionError):
        return {}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
