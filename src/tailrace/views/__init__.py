"""Renderings of events to bytes, free of I/O: one file each, one line in the table below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from tailrace.contracts import View
from tailrace.errors import BadRequest
from tailrace.views.messages import MessagesView
from tailrace.views.ndjson import NdjsonView
from tailrace.views.openai import OpenaiView
from tailrace.views.responses import ResponsesView
from tailrace.views.sse import SseView
from tailrace.views.text import TextView
from tailrace.wire.llm.apis import api_of
from tailrace.wire.media_type import is_json


class _Row(NamedTuple):
    make: Callable[[str], View]
    """Makes the view of a stream of this content type."""
    of_api: bool = False
    """Only for streams of the APIs whose own view it is."""


_TABLE: Final[Mapping[str, _Row]] = MappingProxyType(
    {
        "sse": _Row(SseView),
        "text": _Row(TextView),
        "ndjson": _Row(lambda content_type: NdjsonView(data_is_json=is_json(content_type))),
        "openai": _Row(lambda _: OpenaiView(), of_api=True),
        "responses": _Row(lambda _: ResponsesView(), of_api=True),
        "messages": _Row(lambda _: MessagesView(), of_api=True),
    }
)


def view_names(content_type: str) -> tuple[str, ...]:
    """The views that a stream of this content type can be read in."""
    api = api_of(content_type)
    own = "" if api is None else api.view
    return tuple(name for name, row in _TABLE.items() if name == own or not row.of_api)


def make_view(name: str, content_type: str) -> View:
    """The view called ``name`` of a stream of that content type.

    Raises BadRequest where there is none; its message names those there are.
    """
    names = view_names(content_type)
    if name not in names:
        raise BadRequest(f"This stream has no such view; use one of {', '.join(names)}.")
    return _TABLE[name].make(content_type)
