"""Which stream a path, or a field with a path in it, names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import BadRequest, MalformedName, NotFound
from tailrace.web.paths import ROOTS, name_in_field, name_of, stream_url
from tailrace.wire.names import name_to_path

SEGMENTS = st.text("abz09-_.~ %+ü漢", min_size=1, max_size=8).filter(lambda s: s not in (".", ".."))
NAMES = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize("root", ROOTS)
@given(name=NAMES.filter(lambda name: name.split("/")[0] != "__ds"))
def test_both_addresses_of_a_stream_name_it(root: str, name: str) -> None:
    assert name_of(root + name_to_path(name)) == name


@given(name=NAMES.filter(lambda name: name.split("/")[0] != "__ds"))
def test_the_url_that_we_write_leads_back_to_the_stream(name: str) -> None:
    base = "/app/live"
    url = stream_url(name, base)
    assert url.isascii()
    assert name_of(url.removeprefix(base)) == name


@pytest.mark.parametrize("path", ["/streams", "/v1/streams/x", "/stream/x", "/", ""])
def test_what_is_below_no_root_is_no_stream(path: str) -> None:
    with pytest.raises(NotFound):
        name_of(path)


@pytest.mark.parametrize(
    "path", ["/streams/", "/streams/a//b", "/v1/stream/../x", "/streams/a%2Fb"]
)
def test_a_path_that_spells_no_name_is_refused(path: str) -> None:
    with pytest.raises(MalformedName):
        name_of(path)


@pytest.mark.parametrize("path", ["/streams/__ds", "/v1/stream/__ds/subscriptions/1"])
def test_what_the_protocol_reserves_is_no_stream(path: str) -> None:
    with pytest.raises(NotFound, match="reserved"):
        name_of(path)


def test_only_the_first_segment_is_reserved() -> None:
    assert name_of("/streams/a/__ds") == "a/__ds"
    assert name_of("/streams/__dsx") == "__dsx"


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("base", ["", "/app"])
def test_a_field_names_a_stream_by_its_path_with_or_without_the_mount(root: str, base: str) -> None:
    assert name_in_field(f"{base}{root}a/b".encode(), base) == "a/b"
    assert name_in_field(f"{root}a/b".encode(), base) == "a/b"


@pytest.mark.parametrize(
    "value",
    [b"", b"a", b"streams/a", b"/other/a", b"http://other.example/streams/a", b"//x/streams/a"],
)
def test_a_field_that_names_no_stream_of_this_server_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match="path of a stream on this server"):
        name_in_field(value, "")
