"""Producers: a table of verdicts, and a machine that retries against a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import BadRequest, ProducerFenced, ProducerGap, RequestError
from tailrace.log.producers import Claim, closed_by, is_retry
from tailrace.model import Producer

KNOWN = Producer("p", 3, 5)


@pytest.mark.parametrize(
    ("known", "epoch", "seq", "verdict"),
    [
        (None, 0, 0, False),
        (None, 7, 0, False),
        (None, 0, 1, ProducerGap),
        (KNOWN, 4, 0, False),
        (KNOWN, 9, 0, False),
        (KNOWN, 4, 1, BadRequest),
        (KNOWN, 3, 6, False),
        (KNOWN, 3, 5, True),
        (KNOWN, 3, 0, True),
        (KNOWN, 3, 7, ProducerGap),
        (KNOWN, 2, 0, ProducerFenced),
        (KNOWN, 2, 6, ProducerFenced),
    ],
)
def test_each_batch_is_new_or_a_retry_or_refused(
    known: Producer | None, epoch: int, seq: int, verdict: bool | type[RequestError]
) -> None:
    claim = Claim("p", epoch, seq)
    if isinstance(verdict, bool):
        assert is_retry(known, claim) is verdict
        return
    with pytest.raises(verdict):
        is_retry(known, claim)


def test_refusals_say_what_the_producer_needs_to_go_on() -> None:
    with pytest.raises(ProducerFenced) as fenced:
        is_retry(KNOWN, Claim("p", 1, 0))
    assert fenced.value.epoch == 3
    with pytest.raises(ProducerGap) as gap:
        is_retry(KNOWN, Claim("p", 3, 9))
    assert (gap.value.expected, gap.value.received) == (6, 9)


def test_only_the_very_batch_that_closed_counts_as_its_retry() -> None:
    closing = KNOWN._replace(closed=True)
    assert closed_by(closing, Claim("p", 3, 5))
    assert not closed_by(closing, Claim("p", 3, 4))
    assert not closed_by(KNOWN, Claim("p", 3, 5))
    assert not closed_by(None, Claim("p", 3, 5))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=40))
def test_whatever_is_sent_each_batch_is_taken_once_and_in_order(
    sent: list[tuple[int, int]],
) -> None:
    known: Producer | None = None
    taken: list[tuple[int, int]] = []
    for epoch, seq in sent:
        try:
            retry = is_retry(known, Claim("p", epoch, seq))
        except RequestError:
            continue
        if retry:
            assert (epoch, seq) in taken
            continue
        taken.append((epoch, seq))
        known = Producer("p", epoch, seq)
    assert len(set(taken)) == len(taken)
    assert taken == sorted(taken)
    epochs = {epoch for epoch, _ in taken}
    for epoch in epochs:
        numbers = [seq for e, seq in taken if e == epoch]
        assert numbers == list(range(len(numbers)))
