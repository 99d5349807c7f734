"""Header fields and queries of the Durable Streams protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.errors import BadRequest, MalformedOffset
from tailrace.model import Offset
from tailrace.wire import durable
from tailrace.wire.live_cursor import EPOCH, INTERVAL, MAX_JITTER, next_cursor

OFFSET = Offset("01" * 13, 7)


@pytest.mark.parametrize(
    ("parse", "value", "expected"),
    [
        (durable.parse_ttl, b"0", 0),
        (durable.parse_ttl, b"3600", 3600),
        (durable.parse_expires_at, b"1970-01-01T00:00:01Z", 1000),
        (durable.parse_expires_at, b"1970-01-01t00:00:01.2345z", 1234),
        (durable.parse_expires_at, b"1970-01-01T02:00:00+01:30", 1_800_000),
        (durable.parse_expires_at, b"1990-12-31T23:59:60Z", 662_687_999_000),
        (durable.parse_expires_at, b"1990-12-31T15:59:60-08:00", 662_687_999_000),
        (durable.parse_expires_at, b"1970-01-02T00:00:00+23:59", 60_000),
        (durable.parse_sub_offset, b"12", 12),
        (durable.parse_writer_seq, b"a b\xff", "a b\xff"),
        (durable.parse_content_type, b"Text/Plain; charset=utf-8", "Text/Plain; charset=utf-8"),
        (durable.parse_offset, "-1", "-1"),
        (durable.parse_offset, "now", "now"),
        (durable.parse_offset, str(OFFSET), OFFSET),
        (durable.parse_fork_offset, b"0000000000000000_0000000000000000", "-1"),
        (durable.parse_fork_offset, str(OFFSET).encode(), OFFSET),
    ],
)
def test_values_are_read(parse: Callable[[Any], Any], value: Any, expected: Any) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("parse", "values"),
    [
        (durable.parse_ttl, [b"", b"-1", b"+1", b"01", b"1.0", b"1e3", b" 1", b"9" * 12]),
        (durable.parse_expires_at, [
            b"", b"tomorrow", b"2030-01-01", b"2030-01-01 00:00:00Z", b"2030-01-01T00:00:00",
            b"2030-02-30T00:00:00Z", b"2030-01-01T24:00:00Z", b"2030-01-01T00:00:00+25:00:00",
            b"2030-01-01T00:00:00+24:00", b"2030-01-01T00:00:00-01:60", b"2030-01-01T12:30:60Z",
            b"2030-01-01T23:59:60+01:00", b"2030-01-01T23:59:61Z",
            b"0000-01-01T00:00:00Z", b"9999-12-31T23:59:59-23:59",
        ]),
        (durable.parse_sub_offset, [b"", b"-1", b"1.5", b"01", b"abc"]),
        (durable.parse_writer_seq, [b"", b"a\x00", b"a" * 257]),
        (durable.parse_content_type,
         [b"", b"text", b"text/", b"/plain", b"a b/c", b"t/" + b"x" * 300]),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(parse: Callable[[Any], Any], values: list[bytes]) -> None:
    for value in values:
        with pytest.raises(BadRequest):
            parse(value)


@pytest.mark.parametrize("token", [None, "", "0", "-2", "NOW", str(OFFSET) + "0", "a_b", "*"])
def test_no_other_offset_is_one(token: str | None) -> None:
    with pytest.raises(MalformedOffset):
        durable.parse_offset(token)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
@example(-62_135_596_800_000)
@example(253_402_300_799_999)
@example(-1)
def test_a_time_of_expiry_is_given_back_as_it_was_understood(time: int) -> None:
    assert durable.parse_expires_at(durable.format_expires_at(time)) == time


def test_a_time_of_expiry_looks_as_javascript_writes_it() -> None:
    assert durable.format_expires_at(1_893_456_000_007) == b"2030-01-01T00:00:00.007Z"


def test_a_producer_says_all_three_things_or_none() -> None:
    assert durable.parse_producer(None, None, None) is None
    assert durable.parse_producer(b"p", b"0", b"9007199254740991") == ("p", 0, 2**53 - 1)
    for given_fields in (
        (b"p", b"0", None), (b"p", None, b"0"), (None, b"0", b"0"), (b"", b"0", b"0"),
        (b"p", b"-1", b"0"), (b"p", b"0", b"1.5"), (b"p", b"0", b"9007199254740992"),
        (b"p", b"x", b"0"), (b"p" * 257, b"0", b"0"), (b"p", b"", b"0"),
    ):  # fmt: skip
        with pytest.raises(BadRequest):
            durable.parse_producer(*given_fields)


@pytest.mark.parametrize(
    ("value", "closed"),
    [
        (b"true", True),
        (b"TRUE", True),
        (b" true ", True),
        (b"1", False),
        (b"", False),
        (None, False),
    ],
)
def test_only_true_closes(value: bytes | None, closed: bool) -> None:
    assert durable.is_closed_flag(value) is closed


def test_a_tag_matches_itself_in_any_list_and_no_other_state() -> None:
    tag = durable.etag("g", 1, 5, "open")
    assert durable.matches(tag, tag)
    assert durable.matches(b'"x", W/' + tag, tag)
    assert durable.matches(b"*", tag)
    assert not durable.matches(b"", tag)
    assert not durable.matches(durable.etag("g", 1, 5, "closed"), tag)


@given(
    st.integers(EPOCH, EPOCH + 10**9),
    st.none() | st.text(max_size=5) | st.integers(0, 10**8).map(str),
    st.integers(1, MAX_JITTER),
)
def test_a_cursor_moves_with_time_and_always_beyond_what_was_given(
    now: int, given_cursor: str | None, jitter: int
) -> None:
    cursor = int(next_cursor(now, given_cursor, jitter))
    current = (now - EPOCH) // INTERVAL
    assert cursor >= current
    if given_cursor is not None and given_cursor.isascii() and given_cursor.isdigit():
        assert cursor > int(given_cursor) or cursor == current > int(given_cursor)
    else:
        assert cursor == current
