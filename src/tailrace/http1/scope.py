"""What an ASGI application is told of a request."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from tailrace.http1.request_reader import RequestHead


def make_scope(
    head: RequestHead, config: Config, transport: asyncio.Transport, app_state: dict[str, Any]
) -> HTTPScope:
    """Return the ASGI scope of the request that begins with ``head`` on ``transport``."""
    target = head.target
    root = config.root_path
    return {
        "type": "http",
        "asgi": {"version": config.asgi_version, "spec_version": "2.3"},
        "http_version": "1.1" if head.modern else "1.0",
        "server": get_local_addr(transport),
        "client": get_remote_addr(transport),
        "scheme": "https" if is_ssl(transport) else "http",
        "method": head.method,
        "root_path": root,
        "path": root + target.path,
        "raw_path": root.encode("ascii") + target.raw_path,
        "query_string": target.query,
        "headers": head.headers,
        "state": app_state.copy(),
    }
