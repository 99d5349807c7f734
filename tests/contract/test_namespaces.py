"""Which namespace a stream's name is in."""

from __future__ import annotations

import pytest

from tailrace.contracts import OPEN, Namespace, Namespaces, Right
from tailrace.server.uses import namespaces

ONE = Namespace("one/", read=Right.MANAGE, closed_to_clients="No.")


@pytest.mark.parametrize("name", ["one", "one/", "one/x", "one/x/y"])
def test_a_prefix_is_the_first_segment_of_a_name(name: str) -> None:
    assert Namespaces([ONE]).of(name) is ONE


@pytest.mark.parametrize("name", ["ones", "one-x", "a/one/x", "On", "", "/one"])
def test_names_that_only_resemble_it_are_free(name: str) -> None:
    assert Namespaces([ONE]).of(name) is OPEN


@pytest.mark.parametrize("prefix", ["", "one", "one/two/", "/"])
def test_a_prefix_that_is_not_one_segment_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Namespaces([Namespace(prefix)])


def test_two_uses_cannot_have_the_same_prefix() -> None:
    with pytest.raises(ValueError, match="one/"):
        Namespaces([ONE, Namespace("one/")])


@pytest.mark.parametrize("name", ["chat/x", "logs/x", "tasks", "files/a/b"])
def test_clients_make_no_streams_where_the_server_keeps_its_own(name: str) -> None:
    assert Namespaces(namespaces()).of(name).closed_to_clients
