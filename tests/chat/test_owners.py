"""A name that only the requests of one owner arrive at."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tailrace.access.owner import owner_of
from tailrace.chat.owners import owned_name
from tests.access.test_owner import FIELDS

PARTS = st.lists(st.binary(max_size=6), min_size=1, max_size=3)


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
