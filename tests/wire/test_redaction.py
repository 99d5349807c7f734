"""Keys in what an upstream says: found however they are spelled, and wherever a body is cut."""

from __future__ import annotations

import html
import json
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.redaction import REDACTED, Redactor, Screen

KEY = b"sk-proj/Canary_5f0c+1b7e9a="
OF_KEY = Redactor([KEY])
# A key that ends with a backslash leaves some of its spelling behind: nobody has such a key.
keys = st.text(string.printable[:94].replace("\\", ""), min_size=8, max_size=60)


def escaped(key: str) -> str:
    return "".join(f"\\u{ord(each):04x}" for each in key)


SPELLINGS = {
    "plain": KEY.decode(),
    "all escaped": escaped(KEY.decode()),
    "in capitals": escaped(KEY.decode()).replace("\\u00", "\\U00").upper().replace("\\U", "\\u"),
    "its first letter": "\\u0073" + KEY.decode()[1:],
    "its last letter": KEY.decode()[:-1] + "\\u003D",
    "slashes": KEY.decode().replace("/", "\\/"),
    "JSON in JSON": "\\\\u0073k-proj\\\\/" + KEY.decode()[8:],
    "in a URL": quote(KEY.decode(), safe=""),
    "in a URL, twice": quote(quote(KEY.decode(), safe=""), safe=""),
    "every byte in a URL": "".join(f"%{each:02x}" for each in KEY),
    "in HTML": html.escape(KEY.decode()).replace("/", "&#x2F;").replace("=", "&#61;"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_key_is_found_however_it_is_spelled(name: str) -> None:
    data = b'{"a":"b %b c"}' % SPELLINGS[name].encode()
    found = OF_KEY(data)
    assert REDACTED in found
    assert found.startswith(b'{"a":"b ')
    assert found.endswith(b' c"}')
    assert b"5f0c" not in found


@given(keys, st.data())
def test_a_key_in_a_json_string_is_found_whichever_of_its_characters_are_escaped(
    key: str, data: st.DataObject
) -> None:
    ways = st.sampled_from(("plain", "escaped"))
    spelled = "".join(
        f"\\u{ord(each):04x}" if data.draw(ways) == "escaped" else json.dumps(each)[1:-1]
        for each in key
    )
    assert json.loads(f'"{spelled}"') == key
    event = f'{{"text":"a {spelled} b"}}'.encode()
    assert Redactor([key.encode()])(event) == b'{"text":"a [redacted] b"}'


def test_a_key_that_goes_on_like_the_end_of_an_escape_is_redacted_from_the_escape_on() -> None:
    event = b'{"text":"a \\u00300000000 b"}'
    assert Redactor([b"00000000"])(event) == b'{"text":"a [redacted] b"}'


@given(st.binary())
def test_without_a_key_nothing_changes(data: bytes) -> None:
    assert Redactor()(data) is data
    screen = Screen(Redactor())
    assert screen.feed(data) + screen.finish() == data


@given(st.lists(st.sampled_from([b"sk", b"-", b"\\u0073", b"%", b"%73k", b"a", b"\\", b"&#"])))
def test_what_only_looks_like_a_key_stays_as_it_is(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert OF_KEY(data) == data
    screen = Screen(OF_KEY)
    shown = b"".join([*map(screen.feed, parts), screen.finish()])
    assert shown == data


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_body_that_is_cut_anywhere_shows_no_key_and_keeps_its_length(name: str) -> None:
    spelled = SPELLINGS[name].encode()
    body = b"some %b more" % spelled
    for first in range(len(body)):
        for second in range(first, len(body), 7):
            screen = Screen(OF_KEY)
            pieces = (body[:first], body[first:second], body[second:])
            shown = b"".join([*map(screen.feed, pieces), screen.finish()])
            assert len(shown) == len(body)
            assert shown.startswith(b"some [redacted]")
            assert shown.endswith(b" more")
            assert b"Canary" not in shown


def test_what_cannot_begin_a_key_is_never_held() -> None:
    screen = Screen(OF_KEY)
    for piece in (b"data: {}\n\n", b"ask-prof", b"%20", b"a b"):
        assert screen.feed(piece) == piece
    assert screen.feed(b"a sk-pro") == b"a "
    assert screen.feed(b"f.") == b"sk-prof."


def test_a_key_that_begins_with_another_is_found_whole() -> None:
    redact = Redactor([b"sk-abcdefgh"])
    redact.remember([b"sk-abcdefgh-ijkl"])
    assert redact(b"a sk-abcdefgh-ijkl b sk-abcdefgh c") == b"a [redacted] b [redacted] c"


def test_a_fields_name_may_hold_a_key_in_other_letters() -> None:
    redact = Redactor([b"sk-Canary"])
    assert redact.in_name(b"x-SK-canary")
    assert not redact.in_name(b"x-request-id")
