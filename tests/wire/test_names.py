"""The grammar of stream names, and how they stand in a URL."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.errors import MalformedName
from tailrace.wire.names import MAX_BYTES, name_to_path, parse_name


@pytest.mark.parametrize(
    ("raw_path", "name"),
    [
        (b"a", "a"),
        (b"chat/0123", "chat/0123"),
        (b"a/b/c", "a/b/c"),
        (b"a.b/..c/d../...", "a.b/..c/d../..."),
        (b"~-_.!$&'()*+,;=:@", "~-_.!$&'()*+,;=:@"),
        (b"a%20b", "a b"),
        (b"a b", "a b"),
        (b"%61%62", "ab"),
        (b"100%25", "100%"),
        (b"%252F", "%2F"),
        (b"%252e%252e", "%2e%2e"),
        (b"%3Fa=b%23c", "?a=b#c"),
        (b"caf%C3%A9", "café"),
        (b"caf%c3%a9", "café"),
        ("日本".encode(), "日本"),
        (b"%F0%9F%98%80", "😀"),
        ("a\u200db".encode(), "a\u200db"),
        (b"x" * MAX_BYTES, "x" * MAX_BYTES),
        (b"%78" * MAX_BYTES, "x" * MAX_BYTES),
    ],
)
def test_a_path_within_the_grammar_spells_a_name(raw_path: bytes, name: str) -> None:
    assert parse_name(raw_path) == name


@pytest.mark.parametrize(
    ("raw_path", "complaint"),
    [
        (b"", "1 to 512 bytes"),
        (b"x" * (MAX_BYTES + 1), "1 to 512 bytes"),
        ("é".encode() * 257, "1 to 512 bytes"),
        (b"/a", "begin or end with /"),
        (b"a/", "begin or end with /"),
        (b"/", "begin or end with /"),
        (b"a//b", "contain //"),
        (b".", "as a segment"),
        (b"..", "as a segment"),
        (b"a/./b", "as a segment"),
        (b"a/../b", "as a segment"),
        (b"../etc/passwd", "as a segment"),
        (b"a/%2e%2E/b", "as a segment"),
        (b"a/.%2e", "as a segment"),
        (b"a%2Fb", "%2F"),
        (b"a%2fb", "%2F"),
        (b"..%2f..%2fetc", "%2F"),
        (b"a%5Cb", "%5C"),
        (b"a%5cb", "%5C"),
        (b"a%00", "%00"),
        (b"a\\b", "backslashes"),
        (b"a\0b", "control"),
        (b"a\r\nb", "control"),
        (b"a%0d%0aSet-Cookie:x", "control"),
        (b"a%09b", "control"),
        (b"a%7F", "control"),
        (b"a%C2%85", "control"),
        (b"a%E2%80%A8b", "line separators"),
        (b"a%E2%80%AEb", "bidirectional"),
        (b"a%E2%81%A6b", "bidirectional"),
        (b"%", "two hex digits"),
        (b"a%2", "two hex digits"),
        (b"a%zz", "two hex digits"),
        (b"a%u0041", "two hex digits"),
        (b"\xff", "UTF-8"),
        (b"%C3", "UTF-8"),
        (b"%C0%AF", "UTF-8"),
        (b"%ED%A0%80", "UTF-8"),
    ],
)
def test_anything_else_is_refused_and_told_why(raw_path: bytes, complaint: str) -> None:
    with pytest.raises(MalformedName, match=re.escape(complaint)):
        parse_name(raw_path)


def test_a_refusal_does_not_repeat_the_name_for_it_may_be_a_secret_link() -> None:
    with pytest.raises(MalformedName) as caught:
        parse_name(b"chat/s3cr3t/..")
    assert "s3cr3t" not in str(caught.value)


def spelled(name: str) -> str | None:
    """The name, or None where it is outside the grammar."""
    try:
        return parse_name("".join(f"%{byte:02X}" if byte not in b"/\\\0" else chr(byte)
                                  for byte in name.encode()).encode())  # fmt: skip
    except MalformedName:
        return None


names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4).map("/".join)


@given(names.filter(lambda name: spelled(name) is not None))
@example("100%/a b/?#/ü/😀/~-_.")
@example("%2F")
def test_a_name_survives_its_way_through_a_url(name: str) -> None:
    path = name_to_path(name)
    assert parse_name(path.encode()) == name
    assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", path)


def test_unreserved_characters_and_slashes_stay_readable_in_a_url() -> None:
    assert name_to_path("chat/Az09-._~") == "chat/Az09-._~"
    assert name_to_path("a b/ü?") == "a%20b/%C3%BC%3F"


@given(st.binary(max_size=30))
def test_no_path_makes_it_raise_anything_else_or_give_a_name_it_would_refuse(raw: bytes) -> None:
    try:
        name = parse_name(raw)
    except MalformedName:
        return
    assert parse_name(name_to_path(name).encode()) == name
