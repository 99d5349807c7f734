"""Which model to name where nobody named one."""

from __future__ import annotations

import asyncio
from typing import Final

from tailrace.contracts import Upstream, UpstreamRequest
from tailrace.errors import UpstreamBroken, UpstreamRefused
from tailrace.upstream.routing.choice import is_openai
from tailrace.upstream.routing.listing import LIST_LIMIT, listed_in

# OpenAI lists dozens of models in no order of merit; this one is cheap, quick and a chat model.
OPENAI_DEFAULT: Final = "gpt-4o-mini"


class DefaultModel:
    """The configured model, or what the upstream lists first. ``configured`` may be empty."""

    def __init__(self, upstream: Upstream, configured: str = "") -> None:
        self._upstream = upstream
        self._configured = configured
        self._name = configured
        self._asking = asyncio.Lock()

    async def name(self) -> str:
        """The model's name. The upstream is asked once; only a success is remembered.

        Raises UpstreamError.
        """
        if not self._name:
            async with self._asking:
                self._name = self._name or await self._found()
        return self._name

    def forget(self) -> None:
        """Ask anew: the upstream may be another one."""
        self._name = self._configured

    async def _found(self) -> str:
        url = self._upstream.base_url
        return OPENAI_DEFAULT if url and is_openai(url) else await self._first_listed()

    async def _first_listed(self) -> str:
        request = UpstreamRequest("GET", "/models", [(b"accept", b"application/json")])
        call = await self._upstream.ask(request)
        body = await call.read(LIST_LIMIT)
        if not 200 <= call.status < 300:
            raise UpstreamRefused(
                f"The upstream answered GET /models with {call.status}; name a model with --model."
            )
        model = _first_id(body)
        if model is None:
            raise UpstreamBroken("The upstream lists no models; name one with --model.")
        return model


def _first_id(body: bytes) -> str | None:
    try:
        model = listed_in(body)[0]["id"]
    except (LookupError, TypeError):
        return None
    return model if isinstance(model, str) and model else None
