"""Renderings of events to bytes, free of I/O: one file each, one line in the table below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from tailrace.contracts import View
from tailrace.errors import BadRequest
from tailrace.views.ndjson import NdjsonView
from tailrace.views.openai import OpenaiView
from tailrace.views.sse import SseView
from tailrace.views.text import TextView
from tailrace.wire.media_type import is_json


class _Row(NamedTuple):
    make: Callable[[str], View]
    """Makes the view of a stream of this content type."""
    only_json: bool


_TABLE: Final[Mapping[str, _Row]] = MappingProxyType(
    {
        "sse": _Row(SseView, only_json=False),
        "text": _Row(TextView, only_json=False),
        "ndjson": _Row(
            lambda content_type: NdjsonView(data_is_json=is_json(content_type)), only_json=False
        ),
        "openai": _Row(lambda _: OpenaiView(), only_json=True),
    }
)


def view_names(content_type: str) -> tuple[str, ...]:
    """The views that a stream of this content type can be read in."""
    json = is_json(content_type)
    return tuple(name for name, row in _TABLE.items() if json or not row.only_json)


def make_view(name: str, content_type: str) -> View:
    """The view called ``name`` of a stream of that content type.

    Raises BadRequest where there is none; its message names those there are.
    """
    names = view_names(content_type)
    if name not in names:
        raise BadRequest(f"This stream has no such view; use one of {', '.join(names)}.")
    return _TABLE[name].make(content_type)
