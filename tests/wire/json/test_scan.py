"""Scanning JSON: exactly what a strict parser takes, at any size, in short slices."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.json.grammar import ARRAY, OBJECT
from tailrace.wire.json.scan import MAX_DEPTH, Scan, TooManyEntries, check_utf8, name_of, scan
from tailrace.wire.json.strict_json import NotJson
from tailrace.wire.slices import Work, finish
from tests.wire.json.json_shapes import SHAPES

MIB = 1 << 20
# Seconds of the processor: ten times what a slice takes, for machines that are slow.
SLICE = 0.01

spaces = st.sampled_from(["", "", " ", "\n", " " * 1100])
scalars = st.sampled_from(
    ["1", "-0.5e+3", "null", '"é"', '"\\ud800"', '"\\n"', '"' + "x" * 1100 + '"', '"\\u0041"']
)


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = inner.map(lambda value: f'"a" :{value}')
    entries = st.tuples(st.just("[]"), st.lists(inner, max_size=4))
    return st.tuples(entries | st.tuples(st.just("{}"), st.lists(members, max_size=4)), spaces).map(
        lambda made: made[0][0][0] + f"{made[1]},".join(made[0][1]) + made[1] + made[0][0][1]
    )


texts = st.recursive(scalars, containers, max_leaves=8)
damage = st.sampled_from(["", "[", "]", "{", "}", ",", ":", '"', "\\", "1", "01", "-", ".", "\x00"])


def scanned(data: bytes, kind: int = ARRAY) -> Scan | None:
    """None where it is not JSON."""
    try:
        finish(check_utf8(data))
        return finish(scan(data, kind, len(data)))
    except (UnicodeDecodeError, NotJson):
        return None


def parsed(data: bytes) -> list[Any] | None:
    """What it spells, in a list; None where it is not JSON."""

    def refuse(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        return [json.loads(data.decode(), parse_constant=refuse)]
    except ValueError:
        return None


@given(texts, st.integers(min_value=0), damage)
def test_exactly_what_a_strict_parser_takes_is_taken(text: str, at: int, put: str) -> None:
    at %= len(text) + 1
    data = (text[:at] + put + text[at + len(put) :]).encode()
    value = parsed(data)
    found = scanned(data, OBJECT if data.lstrip().startswith(b"{") else ARRAY)
    assert (found is None) is (value is None)
    if found is None or value is None:
        return
    entries = [json.loads(data[each.start : each.end]) for each in found.entries]
    if isinstance(value[0], list):
        assert entries == value[0]
    elif isinstance(value[0], dict):
        names = [name_of(data, each) for each in found.entries]
        assert dict(zip(names, entries, strict=True)) == value[0]
    assert data[found.start : found.end] == data.strip(b" \t\r\n")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_of_any_shape_is_scanned_in_short_slices(shape: str) -> None:
    data = SHAPES[shape](MIB // 4)
    work = scan(data, ARRAY, 1)
    longest = 0.0
    while True:
        begun = time.thread_time()
        done = next(work, "done")
        longest = max(longest, time.thread_time() - begun)
        if done == "done":
            break
    assert longest < SLICE


@pytest.mark.parametrize("shape", ["small numbers", "nested arrays", "quotes"])
def test_a_scan_takes_less_memory_than_its_text(shape: str) -> None:
    data = SHAPES[shape](MIB // 2)
    tracemalloc.start()
    finish(scan(data, ARRAY, 1))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < len(data)


@pytest.mark.parametrize("kind", [ARRAY, OBJECT])
def test_what_has_too_many_entries_is_given_up_where_that_shows(kind: int) -> None:
    data = b"[" + b"1," * 1000 if kind == ARRAY else b"{" + b'"a":1,' * 1000
    with pytest.raises(TooManyEntries):
        finish(scan(data, kind, 999))
    with pytest.raises(NotJson):  # it was cut
        finish(scan(data, kind, 1001))


def test_entries_that_nobody_wants_are_not_counted() -> None:
    assert finish(scan(b'{"a":1,"b":2}', ARRAY, 1)).entries == []
    assert finish(scan(b"[1,2]", OBJECT, 1)).entries == []


def test_nesting_has_one_bound_however_it_is_reached() -> None:
    for before in (b"", b"1,", b"[" + b"1," * 3000 + b"1],"):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            for levels, taken in ((MAX_DEPTH - 1, True), (MAX_DEPTH, False)):
                inner = opening * levels + b"1" + closing * levels
                assert (scanned(b"[" + before + inner + b"]") is not None) is taken


@pytest.mark.parametrize(
    ("data", "why", "at"),
    [
        (b"[1 2]", "a comma or a closing bracket", 3),
        (b'{"a" 1}', "a colon", 5),
        (b"{1:2}", "a name in quotes", 1),
        (b"[1,]", "a value", 3),
        (b"[NaN]", "NaN is no JSON number", 1),
        (b'["\n"]', "a string", 2),
        (b'["' + b"a" * 40_000 + rb"\x", "a string", 40_002),
        (b"[" + b"1" * 20_000 + b"]", "digits", 16_385),
        (b"[1] x", "more behind", 4),
        (b"[[1]", "ends too early", 4),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, why: str, at: int) -> None:
    with pytest.raises(NotJson) as refused:
        finish(scan(data, ARRAY, 10))
    said, place = refused.value.args
    assert (why in said, place) == (True, at)


@given(st.binary(max_size=20), st.integers(0, 3))
def test_bytes_that_are_no_utf_8_are_found_where_they_are(tail: bytes, before: int) -> None:
    data = b"a" * (64 * 1024 - before) + "🌊".encode() + tail

    def check() -> Work[None]:
        return check_utf8(data)

    try:
        data.decode()
    except UnicodeDecodeError as error:
        with pytest.raises(UnicodeDecodeError) as refused:
            finish(check())
        assert refused.value.start == error.start
    else:
        finish(check())
