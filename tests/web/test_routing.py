"""The one way of matching a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.contracts import Right
from tailrace.errors import MethodNotAllowed, NotFound
from tailrace.web.exchange import Exchange
from tailrace.web.routing import BoundRoute, RouteTable

PATTERNS = (
    "",
    "/",
    "/a",
    "/a/b",
    "/a/{x}",
    "/a/{x}/end",
    "/a/{rest*}",
    "/streams/{name*}",
    "/streams/fixed",
)


async def nothing(exchange: Exchange) -> None:
    """Answer nothing."""


def table(*patterns: str, methods: tuple[str, ...] = ("GET",)) -> RouteTable:
    return RouteTable(BoundRoute(p, m, Right.PUBLIC, nothing) for p in patterns for m in methods)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("", ""),
        ("/", "/"),
        ("/a", "/a"),
        ("/a/b", "/a/b"),
        ("/a/c", "/a/{x}"),
        ("/a/%62", "/a/{x}"),
        ("/a/c/end", "/a/{x}/end"),
        ("/a/b/end", "/a/{x}/end"),
        ("/a/c/else", "/a/{rest}"),
        ("/a/b/", "/a/{rest}"),
        ("/a//", "/a/{rest}"),
        ("/a//end", "/a/{rest}"),
        ("/streams/x", "/streams/{name}"),
        ("/streams/x/y/", "/streams/{name}"),
        ("/streams/fixed", "/streams/fixed"),
    ],
)
def test_words_go_before_one_segment_before_the_rest(path: str, template: str) -> None:
    assert table(*PATTERNS).find(path).template == template


@pytest.mark.parametrize("path", ["/b", "a", "/a/", "/streams", "/streams/", "//a"])
def test_what_no_pattern_matches_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        table(*PATTERNS).find(path)


@given(st.lists(st.sampled_from(["a", "b", "", "end", "streams", "fixed"]), max_size=6))
def test_a_path_matches_whatever_some_pattern_of_it_describes(segments: list[str]) -> None:
    path = "/".join(["", *segments])
    expected = [p for p in PATTERNS if _describes(p.split("/"), path.split("/"))]
    try:
        found = table(*PATTERNS).find(path).template
    except NotFound:
        found = None
    assert (found in [p.replace("*}", "}") for p in expected]) if expected else found is None


def _describes(pattern: list[str], path: list[str]) -> bool:
    """As the table at the top of the module has it, in the plainest way."""
    if not pattern or not path:
        return pattern == path
    if pattern[0].endswith("*}"):
        return "/".join(path) != ""
    if not (pattern[0] == path[0] or (pattern[0].startswith("{") and path[0])):
        return False
    return _describes(pattern[1:], path[1:])


def test_a_method_that_a_path_does_not_have_names_those_that_it_has() -> None:
    place = table("/a", methods=("GET", "PUT")).find("/a")
    with pytest.raises(MethodNotAllowed) as error:
        place.endpoint("POST")
    assert error.value.allow == ("GET", "PUT")


def test_the_same_row_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="twice"):
        table("/a", "/a")
