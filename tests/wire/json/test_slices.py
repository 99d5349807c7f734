"""JSON in slices is the JSON that there would be at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.json.slices import json_slices
from tailrace.wire.text_pieces import TextPieces

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@given(values, st.integers(1, 40))
def test_all_slices_together_are_what_json_would_be_at_once(value: Any, size: int) -> None:
    slices = list(json_slices(value, size))
    assert b"".join(slices) == json.dumps(value).encode()
    assert all(len(piece) >= size for piece in slices[:-1])


@pytest.mark.parametrize("unit", ["a", "\x01", "ü", "你", "🙂", "\ud800", '"', "\\"])
def test_a_long_text_is_sent_in_slices_whatever_its_characters(unit: str) -> None:
    value = {"text": unit * 100_000, unit: [1]}
    slices = list(json_slices(value, 32 * 1024))
    assert b"".join(slices) == json.dumps(value).encode()
    assert max(map(len, slices)) <= 132 * 1024
    assert len(slices) > 2


@given(st.lists(st.text(max_size=4), max_size=40), st.integers(0, 3))
def test_text_in_pieces_is_one_string(texts: list[str], more: int) -> None:
    pieces = TextPieces(*texts * 10**more)
    assert b"".join(json_slices([pieces], 100)) == json.dumps([str(pieces)]).encode()
