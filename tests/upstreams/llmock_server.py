"""PyPI's llmock as a child process, with its fault injection by its control API.

    with llmock_server() as llmock:
        llmock.queue({"type": "stream_fault", "kind": "disconnect", "after_chunks": 3})

Behaviours are taken by the next requests that they fit, one of each category. On the wire, seen
with llmock 0.2.2 (uvicorn, chunked, an event a chunk, ``usage: null`` only where it is asked for):

================  ==========================================================================
``disconnect``    FIN between two events, no last chunk
``truncate``      the last chunk after that many events: a proper end of body, no finish_reason,
                  no ``[DONE]``
``malformed``     one event whose JSON is cut in half, its blank line there; then on to [DONE]
``stall``         silence for ``stall_seconds``, then on to ``[DONE]``
``fail``          a JSON error in OpenAI's shape with ``retry-after`` and ``retry-after-ms``
================  ==========================================================================
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from .launch import launched

# It leaves without farewell: its own stop() waits for clients that may never close.
_CHILD = """
import os, sys
from llmock.simulation import MockResponseSettings
from llmock.testing import LLMockServer
with LLMockServer(responses=MockResponseSettings(response_style="echo")) as server:
    print("listening on", server.url, flush=True)
    sys.stdin.read()
    os._exit(0)
"""
_ANNOUNCEMENT = re.compile(r"^listening on (http://\S+)$")


@dataclass(frozen=True)
class Llmock:
    """A running llmock."""

    url: str

    @property
    def base_url(self) -> str:
        """What an SDK takes."""
        return f"{self.url}/v1"

    def queue(self, *behaviors: dict[str, Any]) -> None:
        """Script the next requests."""
        self._post("scenario", {"behaviors": list(behaviors)})

    def reset(self) -> None:
        """Forget what was queued and recorded."""
        self._post("reset", {})

    def requests(self) -> list[dict[str, Any]]:
        """What was asked so far, oldest first; waits up to 2 s for answers under way."""
        journal: list[dict[str, Any]] = httpx.get(f"{self.url}/_llmock/requests").json()["requests"]
        return journal

    def _post(self, path: str, body: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/_llmock/{path}", json=body).raise_for_status()


@contextlib.contextmanager
def llmock_server() -> Iterator[Llmock]:
    """Run llmock; without a behaviour it answers ``Hello! You said: …``."""
    with launched([sys.executable, "-c", _CHILD], _ANNOUNCEMENT) as url:
        yield Llmock(url)
