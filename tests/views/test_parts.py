"""Large events are encoded in parts, which together are what their encoding as a whole is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.contracts import LAST_PART, View
from tailrace.model import DATA, ERROR, Event
from tailrace.views import make_view, view_names
from tailrace.views.durable import DurableView
from tailrace.views.merged import MergedSseView
from tailrace.views.parts import PART
from tailrace.wire.llm.apis import CHAT

GENERATION = "0" * 26
# An event of these is never one of several that a character lies across, or never shown as text.
TYPES = ["application/json", "application/octet-stream", "application/x-ndjson"]
# A line end costs most in an event stream; to hold the rest an answer, an encoding and its copies.
MOST = 8

# What a cut must not fall into: a line end of two bytes, a character, what is left of one.
_ODD = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\xe4\xbd\xa0",
    b"\xe4",
    b"\xbd",
    b"\xf0\x9f\x99\x82",
    b"\xff",
]
_odd = st.lists(st.sampled_from(_ODD), max_size=12).map(b"".join)


class Shape(NamedTuple):
    """Data whose oddities lie across the first cut, or the second."""

    before: int
    odd: bytes
    between: int
    end: bytes

    def data(self) -> bytes:
        head = b"{" + b"x" * (PART - self.before)
        return head + self.odd + b"y" * self.between + self.end


_shapes = st.builds(Shape, st.integers(1, 16), _odd, st.sampled_from([PART - 10, PART + 30]), _odd)


def all_views() -> list[tuple[str, View]]:
    made = [(f"{n} of {t}", make_view(n, t)) for t in TYPES for n in view_names(t)]
    made += [(f"durable of {t}", DurableView(t)) for t in TYPES]
    return [
        *made,
        ("merged", MergedSseView(TYPES[0])),
        ("merged fork", MergedSseView("", "1" * 26)),
    ]


VIEWS = all_views()


def parts_of(view: View, event: Event) -> Iterator[bytes] | None:
    """The parts one after the other; None: there are none."""
    part = view.part(GENERATION, event, 0)
    if part is None:
        return None

    def rest() -> Iterator[bytes]:
        data, place = part
        yield data
        while place != LAST_PART:
            again = view.part(GENERATION, event, place)
            assert again is not None
            data, place = again
            yield data

    return rest()


@pytest.mark.parametrize(("name", "view"), VIEWS, ids=[name for name, _ in VIEWS])
@settings(max_examples=40)
@given(shape=_shapes, kind=st.sampled_from([DATA, DATA, DATA, ERROR]))
def test_all_parts_together_are_the_encoding_as_a_whole(
    name: str, view: View, shape: Shape, kind: str
) -> None:
    event = Event(7, 1000, kind, shape.data())
    parts = parts_of(view, event)
    if parts is None:
        assert name.startswith("ndjson") or "text" in name
        return
    assert b"".join(parts) == view.encode(GENERATION, [event])


WORST = {
    "line ends": b"\n",
    "controls": b"\x01",
    "spaces after line ends": b"\n ",
    "no UTF-8": b"\xff",
    "brackets": b"[],",
    "two-byte line ends": b"\r\n",
}


@pytest.mark.parametrize("shape", WORST)
@pytest.mark.parametrize(("name", "view"), VIEWS, ids=[name for name, _ in VIEWS])
def test_a_part_is_small_whatever_the_event_is_made_of(name: str, view: View, shape: str) -> None:
    event = Event(7, 1000, DATA, (WORST[shape] * 300_000)[:300_000])
    parts = parts_of(view, event)
    if parts is None:
        assert name.startswith("ndjson") or "text" in name
        return
    assert max(map(len, parts)) <= MOST * PART


@pytest.mark.parametrize("name", ["openai", "sse", "ndjson"])
def test_the_chunks_of_a_model_are_read_in_parts_too(name: str) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "line\nend " * 20_000}}]}
    event = Event(1, 1000, DATA, json.dumps(chunk, ensure_ascii=False).encode())
    view = make_view(name, CHAT.content_type)
    parts = parts_of(view, event)
    assert parts is not None
    assert b"".join(parts) == view.encode(GENERATION, [event])
