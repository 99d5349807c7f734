"""Long texts in strings and forms: in slices what they are in one piece."""

from __future__ import annotations

import json
import re
from urllib.parse import quote as percent
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.json.text import quote, unescape, unquote
from tailrace.wire.slices import finish

# Longer than a slice, and by how much decides where it is cut.
long = st.integers(8 * 1024 - 40, 8 * 1024 + 40)
spelled = st.lists(
    st.sampled_from(["a", "é", "🌊", r"\n", r"\\", r"\"", r"\u0041", r"\ud83d", r"\ude00"]),
    min_size=1,
    max_size=12,
).map("".join)
_SURROGATE = re.compile("[\ud800-\udfff]")


@given(spelled, long)
def test_a_string_is_unescaped_as_a_parser_does(inside: str, size: int) -> None:
    string = '"' + "x" * (size - len(inside)) + inside * 20 + '"'
    data = b"[" + string.encode() + b"]"
    text = finish(unescape(data, 1, len(data) - 1)).decode()
    assert text == _SURROGATE.sub("\ufffd", json.loads(string))


@given(st.text(max_size=30), long)
def test_what_is_quoted_is_read_back(text: str, size: int) -> None:
    text = "x" * size + text
    assert json.loads(b"".join(finish(quote(text)))) == text


@given(st.binary(max_size=30), long)
def test_a_value_is_unquoted_as_in_one_piece(raw: bytes, size: int) -> None:
    data = b"&" + b"x" * (size - 20) + percent(raw).encode() * 3 + b"+&"
    text = finish(unquote(data, 1, len(data) - 1))
    plain = unquote_to_bytes(data[1:-1].replace(b"+", b" "))
    assert text is not None
    assert text.decode() == _SURROGATE.sub("\ufffd", plain.decode("utf-8", "surrogateescape"))


@given(long, st.sampled_from([b"%", b"%4", b"%zz"]))
def test_a_broken_escape_makes_no_value_wherever_it_is(size: int, broken: bytes) -> None:
    data = b"x" * size + broken
    assert finish(unquote(data, 0, len(data))) is None
    assert finish(unquote(data + b"x" * size, 0, len(data))) is None
