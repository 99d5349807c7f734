"""``/`` and ``/health``: what is here, and whether it is well."""

from __future__ import annotations

from typing import Final

from tailrace.console import assets
from tailrace.web.exchange import Exchange
from tailrace.web.services import Services

_INDEX: Final = b"""\
Tailrace: every stream is an append-only log, a reader is only a place in it.

  GET  /stream?content=Hello%20world     ask the model, watch the answer appear
  POST /v1/chat/completions              the OpenAI API, unchanged
  GET  /v1/models
  any  /v1/{path}                        the rest of that API, passed through
  GET  /streams?prefix=chat/             the answers that are kept
  GET  /streams/chat/{id}?view=text      one of them, from its start, then live
  PUT, POST, GET, DELETE /streams/{name} streams of your own (Durable Streams)
  GET  /page/                            the page, for a browser
  GET  /health
"""


async def index(exchange: Exchange, services: Services) -> None:
    """The page for whoever types the address into a browser; else what there is, as text."""
    if exchange.accepts("text/html") and assets.is_built():
        await assets.page(exchange, services)
        return
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"vary", b"Accept")]
    await exchange.respond(200, fields, _INDEX)


async def health(exchange: Exchange, services: Services) -> None:
    """200 while requests can be served and kept; 503 while the storage fails."""
    failing = services.store.health().failure
    body = {"status": "failing", "reason": failing} if failing else {"status": "ok"}
    await exchange.respond_json(body, 503 if failing else 200)
