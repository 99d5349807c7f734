"""Editing one member of an object: nothing else changes, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import BadRequest
from tailrace.wire.json.json_edit import JsonObject, read_object
from tailrace.wire.slices import finish


def read(body: bytes) -> JsonObject:
    return finish(read_object(body))


def set_member(body: bytes, name: str, value: bytes) -> bytes:
    return known(read(body).with_member(name, value))


def without_member(body: bytes, name: str) -> bytes:
    return known(read(body).without_member(name))


def get_member(body: bytes, name: str) -> bytes | None:
    return read(body).get(name)


def known(edited: JsonObject) -> bytes:
    """Its bytes. What is said of them is what would be read from them."""
    assert edited == read(edited.data)
    return edited.data


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(["model", "stream", "a", "ü", '"', "\\", "\U0001f30a"]) | st.text()
spaces = st.text(alphabet=" \t\r\n", max_size=3)


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, list[tuple[str, Any]]]:
    """An object's text, spaced at random and with names that may stand twice, and its pairs."""
    pairs = draw(st.lists(st.tuples(names, values), max_size=5))
    spelled = []
    for name, value in pairs:
        ascii_only = draw(st.booleans())
        # Surrogates cannot be written but escaped, and st.text() makes none.
        spelled.append(
            f"{draw(spaces)}{json.dumps(name, ensure_ascii=ascii_only)}{draw(spaces)}:"
            f"{draw(spaces)}{json.dumps(value, ensure_ascii=ascii_only)}{draw(spaces)}"
        )
    inside = ",".join(spelled) or draw(spaces)
    return f"{draw(spaces)}{{{inside}}}{draw(spaces)}", pairs


def pairs_of(body: bytes) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []

    def keep(inner: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[:] = inner  # the outermost object is the last to be whole
        return dict(inner)

    json.loads(body, object_pairs_hook=keep)
    return pairs


@given(objects())
def test_members_stand_where_they_are_said_to(made: tuple[str, list[tuple[str, Any]]]) -> None:
    text, pairs = made
    body = text.encode()
    found = read(body).members
    assert [(m.name, json.loads(body[m.value : m.end])) for m in found] == pairs
    assert all(json.loads(b"{%b}" % body[m.start : m.end]) for m in found)


@given(objects(), names, values)
def test_setting_changes_that_member_alone(
    made: tuple[str, list[tuple[str, Any]]], name: str, value: Any
) -> None:
    text, pairs = made
    after = set_member(text.encode(), name, json.dumps(value).encode())
    wanted = [(key, value if key == name else old) for key, old in pairs]
    if all(key != name for key, _ in pairs):
        wanted.append((name, value))
    assert pairs_of(after) == wanted
    given_value = get_member(after, name)
    assert given_value is not None
    assert json.loads(given_value) == value
    assert rest_of(after, name) == rest_of(text.encode(), name)


@given(objects(), names)
def test_taking_out_leaves_the_others_as_they_were(
    made: tuple[str, list[tuple[str, Any]]], name: str
) -> None:
    text, pairs = made
    after = without_member(text.encode(), name)
    assert pairs_of(after) == [(key, value) for key, value in pairs if key != name]
    assert get_member(after, name) is None
    assert rest_of(after, name) == rest_of(text.encode(), name)
    if all(key != name for key, _ in pairs):
        assert after == text.encode()


@given(objects(), names, values)
def test_what_was_set_can_be_taken_out(
    made: tuple[str, list[tuple[str, Any]]], name: str, value: Any
) -> None:
    body = made[0].encode()
    added = set_member(body, name, json.dumps(value).encode())
    if get_member(body, name) is None:
        assert without_member(added, name) == body


def rest_of(body: bytes, name: str) -> list[bytes]:
    """The spelling of every other member, its name and spaces included."""
    return [body[m.start : m.end] for m in read(body).members if m.name != name]


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (b"{}", b'{"model":"x"}'),
        (b" { } ", b' {"model":"x" } '),
        (b'{"model":"y"}', b'{"model":"x"}'),
        (b'{"a":1.0, "model" : "y" }\n', b'{"a":1.0, "model" : "x" }\n'),
        (b'{"\\u006dodel":1}', b'{"\\u006dodel":"x"}'),
        (b'{"model":1,"a":{"model":2},"model":3}', b'{"model":"x","a":{"model":2},"model":"x"}'),
        ('{"ü":"🌊\u2028"}'.encode(), '{"ü":"🌊\u2028","model":"x"}'.encode()),
        (b'{"a":' + b"9" * 5000 + b"}", b'{"a":' + b"9" * 5000 + b',"model":"x"}'),
        (b'{"a":1e999}', b'{"a":1e999,"model":"x"}'),
        (b'{"a":"\\ud800"}', b'{"a":"\\ud800","model":"x"}'),
    ],
)
def test_spellings_are_kept(body: bytes, after: bytes) -> None:
    assert set_member(body, "model", b'"x"') == after


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (b'{"model":1}', b"{}"),
        (b'{ "model":1 }', b"{  }"),
        (b'{"model":1, "a":2}', b'{"a":2}'),
        (b'{"a":2 , "model":1}', b'{"a":2}'),
        (b'{"a":2, "model":1, "b":3}', b'{"a":2, "b":3}'),
        (b'{"model":1,"a":2,"model":3,"model":4,"b":5}', b'{"a":2,"b":5}'),
    ],
)
def test_a_member_goes_with_its_comma(body: bytes, after: bytes) -> None:
    assert without_member(body, "model") == after


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"[]", b"1", b'"model"', b"nothing", b"\xef\xbb\xbf{}", b'{"a":"\xff"}',
        b"{", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}', b"{,}", b"{1:2}", b"{a:1}",
        b'{"a" 1}', b'{"a":1 "b":2}', b'{"a":1}}', b'{"a":1} x', b'{"a":}', b'{"a":NaN}',
        b'{"a":01}', b'{"a":"\n"}', b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        set_member(body, "model", b"1")
    with pytest.raises(BadRequest):
        without_member(body, "model")
    with pytest.raises(BadRequest):
        get_member(body, "model")


@pytest.mark.parametrize("name", ["é", '"', "\\", "\n", "🌊"])
def test_a_name_is_escaped_where_it_must_be(name: str) -> None:
    assert json.loads(set_member(b"{}", name, b"1")) == {name: 1}
