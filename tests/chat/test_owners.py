"""A name that only the requests of one owner arrive at."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tailrace.chat.owners import owned_name, owner_of

FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"x-api-key", b"api-key"]),
        st.binary(max_size=8).map(bytes.strip),
    ),
    max_size=3,
)
PARTS = st.lists(st.binary(max_size=6), min_size=1, max_size=3)


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


@given(FIELDS, PARTS, FIELDS, PARTS)
def test_a_name_is_that_of_its_parts_and_its_owner(
    one: list[tuple[bytes, bytes]],
    parts: list[bytes],
    other: list[tuple[bytes, bytes]],
    others: list[bytes],
) -> None:
    owners = owner_of(one), owner_of(other)
    same = owners[0] == owners[1] and parts == others
    assert (owned_name("id", owners[0], *parts) == owned_name("id", owners[1], *others)) is same


@given(PARTS)
def test_a_name_has_one_form_whatever_is_in_it(parts: list[bytes]) -> None:
    name = owned_name("id", owner_of([]), *parts)
    assert re.fullmatch(r"chat/=id/[0-9a-f]{64}", name)
    assert owned_name("key", owner_of([]), *parts).removeprefix("chat/=key/") == name[-64:]


@given(FIELDS, FIELDS, st.binary(min_size=1, max_size=6))
def test_what_a_guest_asks_for_is_nobody_elses(
    one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]], origin: bytes
) -> None:
    assert owner_of(one, origin) not in (owner_of(one), owner_of(one, origin + b"x"))
    same = owner_of(one) == owner_of(other)
    assert (owner_of(one, origin) == owner_of(other, origin)) is same
