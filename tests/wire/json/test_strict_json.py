"""What is read of JSON from strangers: as many values as may be, and the same text either way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.json.strict_json import (
    LARGE,
    NotJson,
    TooManyValues,
    has_more_values,
    loads,
    members,
)
from tailrace.wire.llm import assembly
from tailrace.wire.llm.chunk_text import text_value, utf8

SPACE = b" " * LARGE
TEXT = st.text(alphabet='a,[{"\\\u00e9\u4e16\U0001f30a')
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


def marks_of(value: Any) -> int:
    """Commas and opening brackets that are no text."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(0, len(value) - 1) + sum(map(marks_of, inner))
    return 0


@given(value=VALUES, ascii_only=st.booleans())
def test_what_is_in_strings_does_not_count(value: Any, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    marks = marks_of(value)
    assert not has_more_values(SPACE + data, marks)
    assert not has_more_values(data, 0)  # it is small
    if marks:
        assert has_more_values(SPACE + data, marks - 1)
        with pytest.raises(TooManyValues):
            loads(SPACE + data, most=marks - 1)


@pytest.mark.parametrize("end", [b"", b"\\", b'\\"'])
def test_a_string_without_an_end_is_looked_at_once(end: bytes) -> None:
    """From each of its quotes anew it would take minutes."""
    data = b"[[[[" * 100 + b'"' + b'\\",' * 200_000 + end
    assert not has_more_values(data, 500)
    with pytest.raises(NotJson):
        loads(data)


@given(text=TEXT, cut=st.integers(0, 3))
def test_a_large_event_s_text_is_that_of_a_small_one(text: str, cut: int) -> None:
    """Bytes that are no UTF-8, too."""
    said = json.dumps({"text": text}, ensure_ascii=False).encode()
    data = said[:-2].removesuffix(b"\\")
    data = data[: len(data) - cut] if len(data) - cut > 10 else data
    data += b'"}'
    try:
        wanted = members(loads(data))["text"]
    except NotJson:
        return
    value, encode = text_value(data + SPACE)
    found = members(value)["text"]
    assert isinstance(wanted, str)
    assert isinstance(found, str)
    assert encode(found) == utf8(wanted)
    assert assembly.read(data + SPACE) == assembly.read(data)
