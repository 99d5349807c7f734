"""Flattening: the elements of an array as the bytes that came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import BadRequest
from tailrace.wire.json import json_array
from tailrace.wire.json.scan import MAX_DEPTH
from tailrace.wire.slices import finish


def flatten(body: bytes, most: int = 1000) -> list[bytes]:
    return finish(json_array.flatten(body, most))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b' [ {"a":1} , 2 ] \n', [b'{"a":1}', b"2"]),
        (b"[[1,2],[3,4]]", [b"[1,2]", b"[3,4]"]),
        (b"[[[1,2,3]]]", [b"[[1,2,3]]"]),
        (b"[]", []),
        (b"[ \t]", []),
        (b"[1.0,1e400,-0,123456789012345678901234567890]",
         [b"1.0", b"1e400", b"-0", b"123456789012345678901234567890"]),
        (b'[{"a":1,"a":2}]', [b'{"a":1,"a":2}']),
        ('["ü","\u2028","🌊"]'.encode(), ['"ü"'.encode(), '"\u2028"'.encode(), '"🌊"'.encode()]),
        (b'["]",",","\\""]', [b'"]"', b'","', b'"\\""']),
        (b"[" * 100 + b"]" * 100, [b"[" * 99 + b"]" * 99]),
        (b"[1," + b"[" * 100 + b'","' + b"]" * 100 + b", 2 ]",
         [b"1", b"[" * 100 + b'","' + b"]" * 100, b"2"]),
    ],
)  # fmt: skip
def test_one_level_of_an_array_becomes_messages(body: bytes, messages: list[bytes]) -> None:
    assert flatten(body) == messages


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"[1]]", b"[1] 2", b"{}{}",
        b"NaN", b"[NaN]", b'[{"a":Infinity}]', b"-Infinity", b"[01]", b"['a']", b'["\n"]',
        b'["\xff"]', b"\xef\xbb\xbf[]", b"[" * 20_000 + b"]" * 20_000, b"[" * 2000,
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        flatten(body)


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, True),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), False),
        (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, True),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), False),
        (b'["' + b"[" * (2 * MAX_DEPTH) + b'"]', True),
        (b"[[" + b",".join([b"[]"] * 2000) + b"]]", True),
    ],
)
def test_nesting_has_one_bound(body: bytes, taken: bool) -> None:
    try:
        flatten(body)
    except BadRequest as refused:
        assert not taken
        assert str(MAX_DEPTH) in str(refused)
    else:
        assert taken


@given(st.lists(values, max_size=6), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_messages_are_the_elements_in_their_order(
    elements: list[Any], indent: int | str | None, ascii_only: bool
) -> None:
    body = json.dumps(elements, indent=indent, ensure_ascii=ascii_only)
    try:
        raw = body.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return
    messages = flatten(raw)
    assert [json.loads(message) for message in messages] == elements
    assert all(message == message.strip() and message in raw for message in messages)


@given(
    st.binary(max_size=60) | st.text('[]{},:"\\ 10.e-ntrufalseNI\n', max_size=40).map(str.encode)
)
def test_exactly_what_a_strict_reader_takes_is_taken(body: bytes) -> None:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        value = json.loads(body.decode("utf-8"), parse_constant=refuse)
    except ValueError:
        with pytest.raises(BadRequest):
            flatten(body)
        return
    messages = [json.loads(message) for message in flatten(body)]
    assert messages == (value if isinstance(value, list) else [value])
