"""Media types, as RFC 9110 has them and as browsers may misread them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.media_type import MediaType, essence, is_passive, parameter, parse

_TCHARS = "!#$%&'*+-.^_`|~09azAZ"
_TOKENS = st.text(_TCHARS, min_size=1, max_size=8)
_QUOTABLE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=9
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text/plain", MediaType("text/plain", ())),
        ("Text/PLAIN", MediaType("text/plain", ())),
        ("text/plain;charset=UTF-8", MediaType("text/plain", (("charset", "UTF-8"),))),
        ("text/plain \t;\t Charset=utf-8", MediaType("text/plain", (("charset", "utf-8"),))),
        ('a/b; x="y; z, \\"q\\""; w=1', MediaType("a/b", (("x", 'y; z, "q"'), ("w", "1")))),
        ('a/b; x=""', MediaType("a/b", (("x", ""),))),
        ("a/b;", MediaType("a/b", ())),
        ("a/b;;; x=1 ;", MediaType("a/b", (("x", "1"),))),
        ("application/vnd.api+json", MediaType("application/vnd.api+json", ())),
    ],
)
def test_what_the_grammar_allows_is_read(value: str, expected: MediaType) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "", "text", "text/", "/plain", "text//plain", "text/plain/x", "a b/c", "text /plain",
        "text/plain, text/html", "text/plain; x=y, text/html", "text/html,", ",text/html",
        'text/plain; x="y", text/html', "text/plain; x", "text/plain; x=", "text/plain; =y",
        "text/plain; x = y", "text/plain; x= y", "text/plain; x=y z", 'text/plain; x="y',
        'text/plain; x="y"z', 'text/plain; x=y"z"', 'text/plain; x="y\\"', "text/plain x=y",
        "text/plain; x=y\n", "text/plain\r\nX: y", "text/plain; x=\x00", 'text/plain; x="\x1f"',
        'text/plain; x="\x7f"', "text/plain;\x0bx=y", "text/plain; é=y", "text/plain; x=é",
        'text/plain; x="\u0131"', "text/plāin", '"text/plain"', "text/(plain)", "*/*;q=0.5, a/b",
        " text/plain", "text/plain ",
    ],
)  # fmt: skip
def test_what_it_does_not_is_no_media_type(value: str) -> None:
    assert parse(value) is None
    assert not is_passive(value)


@given(
    _TOKENS, _TOKENS, st.lists(st.tuples(_TOKENS, _QUOTABLE | st.text("\"\\', ;=/", max_size=9)))
)
def test_any_value_comes_back_out_of_its_quotes(
    kind: str, sub: str, parameters: list[tuple[str, str]]
) -> None:
    escaped = [(n, v.replace("\\", "\\\\").replace('"', '\\"')) for n, v in parameters]
    written = "".join(f' ;\t{name}="{value}"' for name, value in escaped)
    found = parse(f"{kind}/{sub}{written}")
    assert found is not None
    assert found.essence == f"{kind}/{sub}".lower()
    assert list(found.parameters) == [(name.lower(), value) for name, value in parameters]


@given(st.text("at/;=\"\\ \t,'x-", max_size=40))
def test_what_is_read_is_one_type_however_lists_are_split(value: str) -> None:
    found = parse(value)
    if found is None:
        return
    assert found.essence == essence(value)
    # Whoever takes away what is in quotes finds no comma: there is no second type to be read.
    outside, quoted, escaped = "", False, False
    for c in value:
        if not quoted or (c == '"' and not escaped):
            outside += c
        quoted ^= c == '"' and not escaped
        escaped = quoted and c == "\\" and not escaped
    assert not quoted
    assert "," not in outside


def test_a_long_value_is_refused_as_fast_as_it_is_read() -> None:
    for hostile in (" ;" * 50_000 + "=", "; " * 50_000 + "=", '; x="' + "\\" * 100_000 + "\x00"):
        assert parse("a/b" + hostile) is None


@pytest.mark.parametrize(
    "value",
    [
        "text/plain", "Text/Plain; charset=utf-8", "text/event-stream", "application/json",
        "application/problem+json", "application/x-ndjson", "image/png", "image/webp",
        "audio/mpeg", "video/mp4", 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"',
        "application/pdf", "text/plain; x='",
    ],
)  # fmt: skip
def test_what_browsers_only_show_is_passive(value: str) -> None:
    assert is_passive(value)


@pytest.mark.parametrize(
    "value",
    [
        "text/html", "text/html; charset=utf-8", "application/xhtml+xml", "text/xml", "text/xsl",
        "application/xml", "image/svg+xml", "application/rss+xml", "application/mathml+xml",
        "multipart/x-mixed-replace; boundary=x", "multipart/related", "message/rfc822",
        "text/javascript", "text/css", "text/vtt", "text/markdown", "text/csv",
        "application/octet-stream", "application/ld+json", "unknown/unknown", "*/*", "image/*",
        # Read as a list of two by those who take an apostrophe for a quotation mark …
        "text/plain; x='; y=\"'a, text/html;z=\"",
        # … and by those who know no escapes.
        'text/plain; x="\\", text/html; y="',
    ],
)  # fmt: skip
def test_everything_else_is_not(value: str) -> None:
    assert not is_passive(value)


def test_a_parameter_is_found_by_its_name_in_any_case() -> None:
    assert parameter('application/json; API="Messages"', "api") == "messages"
    assert parameter('application/json; x="; api=chat"', "api") == ""
    assert parameter("application/json", "api") == ""
    assert parameter("application/json; api=chat, text/html", "api") == ""
