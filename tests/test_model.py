"""Offsets and generations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import (
    GENERATION_LENGTH,
    RANDOM_BITS,
    Offset,
    format_offset,
    mint_generation,
)

BITS = st.integers(0, 2**RANDOM_BITS - 1)
TIMES = st.integers(0, 2**47)
SEQS = st.integers(0, 10**16 - 1)


def generation(time: int = 1, random: int = 0) -> str:
    return mint_generation(time, "", random)


@given(st.lists(st.tuples(TIMES, BITS), min_size=2, max_size=30))
def test_generations_rise_whatever_the_clock_does(made: list[tuple[int, int]]) -> None:
    previous = ""
    for time, random in made:
        latest = mint_generation(time, previous, random)
        assert latest > previous
        assert len(latest) == GENERATION_LENGTH
        previous = latest


@given(BITS, BITS)
def test_all_the_random_bits_are_in_a_generation(one: int, other: int) -> None:
    assert (generation(5, one) == generation(5, other)) == (one == other)


@given(TIMES, BITS, SEQS)
def test_an_offset_reads_back(time: int, random: int, seq: int) -> None:
    offset = Offset(mint_generation(time, "", random), seq)
    assert Offset.parse(str(offset)) == offset
    assert str(offset) == format_offset(offset.generation, seq)
    assert len(str(offset)) <= 128


@given(SEQS, SEQS)
def test_offsets_sort_as_text_like_the_log(one: int, other: int) -> None:
    made = generation()
    assert (str(Offset(made, one)) < str(Offset(made, other))) == (one < other)


@given(st.text(max_size=60))
def test_what_is_no_offset_is_none(text: str) -> None:
    offset = Offset.parse(text)
    assert offset is None or str(offset) == text


def test_digits_of_other_scripts_make_no_offset() -> None:
    token = str(Offset(generation(), 7))
    assert Offset.parse(token[:-1] + "٧") is None
    assert Offset.parse(token + "\n") is None
    assert Offset.parse(token.upper()) is None or token == token.upper()
