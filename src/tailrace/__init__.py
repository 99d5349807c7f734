"""Tailrace: what takes time to appear, delivered whole, to everyone who may see it.

What an application imports; loaded when it is asked for, because the server and its worker
processes import this package, too, and need none of it.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tailrace.embed.handle import Event, Handle, NotWhole
    from tailrace.embed.live import Live
    from tailrace.embed.streams import Streams
    from tailrace.errors import NotFound, OffsetGone, StreamExists, StreamIsClosed, TailraceError
    from tailrace.model import Ending, StreamInfo

__all__ = [
    "Ending",
    "Event",
    "Handle",
    "Live",
    "NotFound",
    "NotWhole",
    "OffsetGone",
    "StreamExists",
    "StreamInfo",
    "StreamIsClosed",
    "Streams",
    "TailraceError",
]

_HOMES: Final = MappingProxyType(
    {
        "Ending": "tailrace.model",
        "Event": "tailrace.embed.handle",
        "Handle": "tailrace.embed.handle",
        "Live": "tailrace.embed.live",
        "NotFound": "tailrace.errors",
        "NotWhole": "tailrace.embed.handle",
        "OffsetGone": "tailrace.errors",
        "StreamExists": "tailrace.errors",
        "StreamInfo": "tailrace.model",
        "StreamIsClosed": "tailrace.errors",
        "Streams": "tailrace.embed.streams",
        "TailraceError": "tailrace.errors",
    }
)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tailrace' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    return value
