"""Whose a request is, told by the credentials that it shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.access.owner import owner_of

FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"x-api-key", b"api-key"]),
        st.binary(max_size=8).map(bytes.strip),
    ),
    max_size=3,
)


@given(FIELDS, st.lists(st.tuples(st.sampled_from([b"host", b"cookie", b"accept"]), st.binary())))
def test_an_owner_is_told_by_credentials_alone_in_any_order(
    shown: list[tuple[bytes, bytes]], others: list[tuple[bytes, bytes]]
) -> None:
    assert owner_of([*others, *reversed(shown)]) == owner_of(shown)


@given(FIELDS, FIELDS)
def test_other_credentials_are_another_owner(
    one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]]
) -> None:
    same = sorted(value for _, value in one) == sorted(value for _, value in other)
    assert (owner_of(one) == owner_of(other)) is same


@given(FIELDS, FIELDS, st.binary(min_size=1, max_size=6))
def test_what_a_guest_asks_for_is_nobody_elses(
    one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]], origin: bytes
) -> None:
    assert owner_of(one, origin) not in (owner_of(one), owner_of(one, origin + b"x"))
    same = owner_of(one) == owner_of(other)
    assert (owner_of(one, origin) == owner_of(other, origin)) is same
