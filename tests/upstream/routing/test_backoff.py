"""Which answers may be given up for another try, and how long is waited before it."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.chat.settings import ChatSettings
from tailrace.upstream.routing.backoff import (
    FIRST,
    LAST,
    delay,
    is_client_retry,
    is_retryable,
    retry_after,
)

NOW = 1_750_000_000.0


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_within_half_of_its_step(failures: int, draw: float) -> None:
    full = min(LAST, FIRST * 2 ** min(failures - 1, 60))
    assert full / 2 <= delay(failures, draw) <= full


def test_steps_double_up_to_a_bound() -> None:
    waits = [delay(failures, 0) * 2 for failures in range(1, 8)]
    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5])


def test_all_the_default_tries_fit_into_the_default_budget() -> None:
    settings = ChatSettings()
    longest = sum(delay(failures, 0.999) for failures in range(1, settings.retries + 1))
    assert longest < settings.retry_budget


@pytest.mark.parametrize(
    ("values", "says"),
    [((), False), ((b"0",), False), ((b"1",), True), ((b" 2 ",), True), ((b"x",), False),
     ((b"",), False), ((b"00",), False), ((b"-1",), False), ((b"0", b"3"), True)],
)  # fmt: skip
def test_an_sdk_says_that_it_tries_again(values: tuple[bytes, ...], says: bool) -> None:
    assert is_client_retry([(b"X-Stainless-Retry-Count", value) for value in values]) is says


def test_every_status_is_retried_or_not() -> None:
    retried = {status for status in range(200, 600) if is_retryable(status, ())}
    assert retried == {408, 429, *range(500, 600)} - {501}


@pytest.mark.parametrize("status", [429, 503])
def test_an_upstream_that_knows_better_is_believed(status: int) -> None:
    assert not is_retryable(status, [(b"x-should-retry", b"false")])
    assert is_retryable(status, [(b"x-should-retry", b"true")])
    assert not is_retryable(400, [(b"x-should-retry", b"true")])


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ([], None),
        ([(b"retry-after", b"0")], 0),
        ([(b"retry-after", b"7")], 7),
        ([(b"retry-after", b" 7 ")], 7),
        ([(b"retry-after", b"1.5")], 1.5),
        ([(b"retry-after", b"-1")], None),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"inf")], None),
        ([(b"retry-after", b"")], None),
        ([(b"retry-after", b"\xff\xfe")], None),
        ([(b"retry-after", b"Fri, 31 Dec 99999 23:59:59 GMT")], None),
        ([(b"retry-after-ms", b"250"), (b"retry-after", b"1")], 0.25),
        ([(b"retry-after-ms", b"x"), (b"retry-after", b"1")], 1),
        ([(b"retry-after", formatdate(NOW + 90, usegmt=True).encode())], 90),
        ([(b"retry-after", formatdate(NOW - 90, usegmt=True).encode())], 0),
        ([(b"retry-after", b"Sunday, 15-Jun-25 15:07:50 GMT")], 70),
    ],
)
def test_retry_after_is_seconds_or_a_date(
    fields: list[tuple[bytes, bytes]], seconds: float | None
) -> None:
    assert retry_after(fields, NOW) == seconds


@given(st.binary(max_size=60))
def test_retry_after_never_fails(value: bytes) -> None:
    wait = retry_after([(b"retry-after", value)], NOW)
    assert wait is None or wait >= 0
