"""A relay as most people write it: Starlette, httpx, a generator."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

client = httpx.AsyncClient(
    base_url=os.environ.get("BENCH_UPSTREAM", ""),
    timeout=None,
    limits=httpx.Limits(max_connections=None),
)


async def relay(request: Request) -> StreamingResponse:
    body = await request.body()

    async def chunks() -> AsyncIterator[str]:
        async with client.stream("POST", "/chat/completions", content=body) as response:
            async for line in response.aiter_lines():
                if line:
                    yield f"{line}\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


app = Starlette(routes=[Route("/v1/chat/completions", relay, methods=["POST"])])
