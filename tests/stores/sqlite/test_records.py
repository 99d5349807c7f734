"""The record codec and the cutting of segments, without a disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tailrace.model import Event
from tailrace.stores.event_memory import take
from tailrace.stores.sqlite.journal import (
    RECORD_OVERHEAD,
    DamagedBlobError,
    decode,
    encode,
    seal,
    unseal,
)
from tailrace.stores.sqlite.segments import cut, extract

EVENTS = st.builds(
    Event,
    seq=st.integers(0, 2**63 - 1),
    time=st.integers(-(2**63), 2**63 - 1),
    type=st.text(max_size=20),
    data=st.binary(max_size=300),
)
STREAMS = st.integers(0, 2**63 - 1)
RECORDS = st.lists(st.tuples(STREAMS, st.lists(EVENTS, max_size=4)), max_size=8)


@given(RECORDS)
def test_what_is_encoded_is_decoded_in_the_same_order(
    records: list[tuple[int, list[Event]]],
) -> None:
    expected = [(stream, event) for stream, events in records for event in events]
    assert list(decode(encode(records))) == expected


@given(st.lists(EVENTS, min_size=1, max_size=3), st.data())
def test_a_blob_cut_anywhere_but_between_records_is_refused(
    events: list[Event], data: st.DataObject
) -> None:
    blob = encode([(7, events)])
    edges = {len(encode([(7, events[:n])])) for n in range(len(events) + 1)}
    for length in range(len(blob)):
        if length in edges:
            continue
        with pytest.raises(DamagedBlobError):
            list(decode(blob[:length]))


@given(RECORDS, st.integers(1, 40))
def test_what_is_sealed_is_unsealed_and_never_larger(
    records: list[tuple[int, list[Event]]], times: int
) -> None:
    records *= times  # so that some are worth compressing
    plain = encode(records)
    blob = seal(records)
    assert unseal(*blob) == plain
    assert len(blob.data) <= len(plain)
    assert (blob.plain == 0) is (blob.data == plain)


def test_chunks_of_a_real_answer_take_a_fifth_of_their_size() -> None:
    lines = (Path(__file__).parents[2] / "wire/llm/data/chat.sse").read_bytes().split(b"\n")
    chunks = [line.removeprefix(b"data: ") for line in lines if line]
    blob = seal([(1, [Event(n, n, "data", chunk) for n, chunk in enumerate(chunks)])])
    assert len(blob.data) < blob.plain / 5


@given(RECORDS.filter(lambda records: bool(encode(records))), st.integers(1, 40), st.data())
def test_a_flipped_bit_is_noticed(
    records: list[tuple[int, list[Event]]], times: int, data: st.DataObject
) -> None:
    crc, plain, sealed = seal(records * times)
    blob = bytearray(sealed)
    bit = data.draw(st.integers(0, 8 * len(blob) - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedBlobError):
        unseal(crc, plain, bytes(blob))


@given(RECORDS.filter(lambda records: len(encode(records)) >= 256), st.integers())
def test_a_wrong_length_is_noticed(records: list[tuple[int, list[Event]]], wrong: int) -> None:
    blob = seal(records * 10)
    assume(wrong not in {0, blob.plain} and blob.plain)
    with pytest.raises(DamagedBlobError):
        unseal(blob.crc, wrong, blob.data)


@pytest.mark.parametrize("blob", [None, "text", 5])
def test_what_is_no_blob_is_refused(blob: object) -> None:
    with pytest.raises(DamagedBlobError):
        unseal(0, 0, blob)


@pytest.mark.parametrize("plain", [None, "5", -1, 1 << 40])
def test_a_length_that_cannot_be_is_refused(plain: object) -> None:
    blob = seal([(1, [Event(1, 0, "data", b"x" * 1000)])])
    with pytest.raises(DamagedBlobError):
        unseal(blob.crc, plain, blob.data)


def test_a_segment_of_another_stream_is_refused() -> None:
    blob = encode([(1, [Event(1, 0, "data", b"x")])])
    assert extract(blob, 1, 0) == [Event(1, 0, "data", b"x")]
    assert extract(blob, 1, 1) == []
    with pytest.raises(DamagedBlobError):
        extract(blob, 2, 0)


@given(st.lists(st.integers(0, 400), max_size=40), st.integers(1, 1000))
def test_segments_hold_every_event_once_within_their_limit(sizes: list[int], limit: int) -> None:
    events = [Event(seq, 0, "data", b"x" * size) for seq, size in enumerate(sizes, 1)]
    runs = list(cut(events, limit))
    assert [event for run in runs for event in run] == events
    for run in runs:
        assert run
        taken = sum(RECORD_OVERHEAD + len(event.data) for event in run)
        assert len(run) == 1 or taken <= limit


@given(st.lists(st.integers(0, 400), max_size=40), st.integers(0, 1000), st.integers(0, 40))
def test_taking_gives_one_event_at_least_and_no_more_than_fit(
    sizes: list[int], limit: int, start: int
) -> None:
    events = [Event(seq, 0, "data", b"x" * size) for seq, size in enumerate(sizes, 1)]
    taken = take(events, start, limit)
    assert taken == events[start : start + len(taken)]
    assert bool(taken) == (start < len(events))
    assert len(taken) <= 1 or sum(len(event.data) for event in taken) <= limit
    rest = events[start + len(taken) :]
    if rest:
        assert sum(len(event.data) for event in (*taken, rest[0])) > limit
