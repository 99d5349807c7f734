"""Bodies, query strings and prompts, well-formed and otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import BadRequest, BodyTooLarge, MalformedOffset, UnsupportedMediaType
from tailrace.model import Offset
from tailrace.web.bodies import (
    ClientGone,
    ModelRequest,
    Prompt,
    ReadQuery,
    build_chat_request,
    parse_read_query,
    parse_stream_body,
    parse_stream_query,
    read_model_request,
)
from tailrace.web.body_budget import Bodies
from tailrace.wire.slices import finish

OFFSET = Offset("0" * 26, 7)

# --- bodies -----------------------------------------------------------------------------------


def body_of(
    pieces: Iterable[bytes | None],
    limit: int = 10,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    patience: float = 10.0,
) -> bytes:
    """Read a body that comes in ``pieces``; None is the client's leaving."""
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        piece = waiting.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        more = bool(waiting) or patience < 1
        return {"type": "http.request", "body": piece, "more_body": more}

    bodies = Bodies(1 << 20)
    body = asyncio.run(bodies.read(receive, limit, headers, patience=patience))
    assert bodies.held >= len(body.data)
    return body.data


def test_a_body_is_put_together() -> None:
    assert body_of([b"ab", b"", b"cd"]) == b"abcd"
    assert body_of([b""]) == b""
    assert body_of([b"0123456789"]) == b"0123456789"


def test_a_body_over_the_limit_is_refused_while_it_comes() -> None:
    with pytest.raises(BodyTooLarge, match="10 bytes"):
        body_of([b"01234", b"567890", b"never read", None])


@pytest.mark.parametrize("length", [b"11", b"9" * 5000])
def test_a_body_that_announces_too_much_is_not_read_at_all(length: bytes) -> None:
    with pytest.raises(BodyTooLarge):
        body_of([None], headers=((b"content-length", length),))


def test_a_client_that_leaves_is_nobody_to_answer() -> None:
    with pytest.raises(ClientGone):
        body_of([b"ab", None])


def test_a_body_that_stops_arriving_is_not_waited_for() -> None:
    with pytest.raises(BadRequest, match=r"0\.01 seconds"):
        body_of([b"ab"], patience=0.01)


def parse_stream_form(body: bytes) -> Prompt:
    return finish(parse_stream_body(b"application/x-www-form-urlencoded", body))


def parse_stream_json(body: bytes) -> Prompt:
    return finish(parse_stream_body(b"application/json", body))


def peek_model_request(body: bytes) -> ModelRequest:
    return finish(read_model_request(body))


# --- /stream by URL and form ------------------------------------------------------------------

READINGS = {
    b"content=Hello%20world": "Hello world",
    b"content=Hello+world": "Hello world",
    b"content=a%2Bb": "a+b",
    b"content=one&content=two": "one",
    b"x=1&content=a=b&": "a=b",
    b"&&content=a": "a",
    b"c%6Fntent=a": "a",
    b"content=%zz&content=b": "b",
    b"content=50%&content=b": "b",
    b"content=%4&content=b": "b",
    b"c%zntent=x&content=b": "b",
    b"content=a;b&content=c": "c",
    b"content=%E4%BD%A0": "你",
    b"content=%e4%bd": "\ufffd\ufffd",
    b"content=a%FFb": "a\ufffdb",
    b"content=%ED%A0%80": "\ufffd\ufffd\ufffd",
    b"content=%00": "\x00",
    b"content=\xe4\xbd\xa0": "你",
    b"content=%F0%9F%98%80": "😀",
}


@pytest.mark.parametrize("parse", [parse_stream_query, parse_stream_form])
@pytest.mark.parametrize(("query", "content"), READINGS.items(), ids=map(str, READINGS))
def test_a_query_is_read_as_go_reads_it(parse: Any, query: bytes, content: str) -> None:
    assert parse(query) == Prompt(content)


@pytest.mark.parametrize(
    "query", [b"", b"content", b"content=", b"Content=a", b"content=&content=a", b"content=%zz"]
)
def test_a_prompt_without_content_is_refused(query: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^Missing 'content' parameter"):
        parse_stream_query(query)


def test_the_other_parameters_are_read_too() -> None:
    query = b"content=a&temperature=1.5&model=m%2F1&system=be+brief&unknown=x"
    assert parse_stream_query(query) == Prompt("a", 1.5, "m/1", "be brief")
    assert parse_stream_query(b"content=a&temperature=&model=&system=") == Prompt("a")


@pytest.mark.parametrize("text", ["0", "2", "-1", "+.5", "1.", "1e-3", "1E2"])
def test_temperatures_are_numbers(text: str) -> None:
    assert parse_stream_query(f"content=a&temperature={quote_plus(text)}".encode()).temperature == (
        float(text)
    )


@pytest.mark.parametrize("text", ["x", "nan", "inf", "1_0", "1e999", "0x1", " 1", "١", "1,5", "-"])
def test_what_is_no_finite_number_is_no_temperature(text: str) -> None:
    with pytest.raises(BadRequest, match="'temperature' must be a finite number"):
        parse_stream_query(f"content=a&temperature={quote(text)}".encode())


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_what_was_encoded_is_read_back(text: str) -> None:
    assert parse_stream_query(b"content=" + quote(text).encode()).content == text
    assert parse_stream_query(b"content=" + quote_plus(text).encode()).content == text


@given(st.binary(max_size=60))
def test_no_query_breaks_the_parser(query: bytes) -> None:
    try:
        prompt = parse_stream_query(b"content=" + query)
    except BadRequest:
        return
    assert prompt.content.encode()


# --- /stream by JSON --------------------------------------------------------------------------


def test_json_gives_the_same_prompt() -> None:
    body = b'{"content":"a","temperature":1,"model":"m","system":"s","more":[1,{"x":{}}]}'
    assert parse_stream_json(body) == Prompt("a", 1.0, "m", "s")
    assert parse_stream_json(b'{"content":"a","model":null,"temperature":null}') == Prompt("a")
    assert parse_stream_json(b'{"content":"\\ud83d\\ude00 \\ud800"}').content == "😀 \ufffd"


BROKEN_JSON = {
    b"": "line 1, column 1",
    b'{"content":\n "a",}': "line 2, column",
    b'{"content": "a"} x': "line 1, column 18",
    b'\xef\xbb\xbf{"content":"a"}': "line 1, column 1",
    b'{"content":"\xff"}': "not UTF-8 (byte 12)",
    b'{"content":"a","temperature":NaN}': "NaN is no JSON number",
    b'{"content":"a","x":-Infinity}': "-Infinity is no JSON number",
    b"[1]": "must be a JSON object",
    b'"content"': "must be a JSON object",
    b"null": "must be a JSON object",
    b"[" * 100_000: "nested too deeply",
    b'{"a":' * 100_000: "nested too deeply",
}


@pytest.mark.parametrize("parse", [parse_stream_json, peek_model_request])
@pytest.mark.parametrize(
    ("body", "words"), BROKEN_JSON.items(), ids=[str(key[:20]) for key in BROKEN_JSON]
)
def test_broken_json_is_refused_with_its_position(parse: Any, body: bytes, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(body)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"content":"a","content":"b"}', 'gives "content" twice'),
        (b'{"content":1}', "'content' must be a string"),
        (b'{"content":"a","model":[]}', "'model' must be a string"),
        (b'{"content":"a","temperature":"1"}', "finite number"),
        (b'{"content":"a","temperature":true}', "finite number"),
        (b'{"content":"a","temperature":1e999}', "finite number"),
        (b'{"content":"a","temperature":1' + b"0" * 5000 + b"}", "finite number"),
        (b'{"content":""}', "Missing 'content' parameter"),
        (b'{"content":null}', "Missing 'content' parameter"),
        (b"{}", "Missing 'content' parameter"),
    ],
)
def test_a_json_prompt_of_another_shape_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_stream_json(body)
    assert words in str(refused.value)


def test_the_content_type_decides() -> None:
    form = b"Application/X-WWW-Form-Urlencoded; charset=utf-8"
    assert finish(parse_stream_body(form, b"content=a")) == Prompt("a")
    for other in (None, b"", b"multipart/form-data; boundary=x", b"text/plain"):
        with pytest.raises(UnsupportedMediaType):
            parse_stream_body(other, b"content=a")


# --- what the upstream is asked ---------------------------------------------------------------


def test_the_request_is_the_articles() -> None:
    prompt = parse_stream_query(b"content=Hello%20world")
    body, model_at = finish(build_chat_request(prompt, "gpt-3.5-turbo"))
    assert body[slice(*model_at)] == b'"gpt-3.5-turbo"'
    assert body == (
        b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"Hello world"}],'
        b'"temperature":0.7,"stream":true}'
    )


def test_model_and_system_are_asked_for_if_given() -> None:
    request = json.loads(finish(build_chat_request(Prompt("a", 0.0, "m", "s"), "default")).body)
    assert request == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}],
        "temperature": 0.0,
        "stream": True,
    }


@given(st.binary(min_size=1, max_size=40))
def test_whatever_was_asked_can_be_asked_on_as_utf_8(raw: bytes) -> None:
    prompt = parse_stream_query(b"content=x" + quote(raw).encode())
    request = json.loads(finish(build_chat_request(prompt, "m")).body.decode("utf-8"))
    assert request["messages"][0]["content"] == prompt.content


# --- the model APIs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "flag"),
    [
        (b'{"stream":true}', True),
        (b' {"messages":[{"stream":true}], "stream" : false}', False),
        (b"{}", False),
        (b'{"stream":null}', False),
        (b'{"stream":"true"}', False),
        (b'{"stream":1}', False),
        (b'{"x":"\\ud800","n":' + b"9" * 10_000 + b',"stream":true}', True),
        (b'{"x":1e99999,"stream":true}', True),
    ],
)
def test_the_stream_flag_is_found(body: bytes, flag: bool) -> None:
    assert peek_model_request(body).stream is flag


# --- reading streams --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", ReadQuery(None, None)),
        (b"x=1&live=sse&cursor=7", ReadQuery(None, None, "sse", "7")),
        (b"offset=-1", ReadQuery("-1", None)),
        (b"offset=now&view=text", ReadQuery("now", "text")),
        (b"view=sse&view=text", ReadQuery(None, "sse")),
        (b"offset=" + str(OFFSET).encode(), ReadQuery(OFFSET, None)),
    ],
)
def test_a_readers_place_and_view_are_read(query: bytes, expected: ReadQuery) -> None:
    assert parse_read_query(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        b"offset=",
        b"offset",
        b"offset=0",
        b"offset=-2",
        b"offset=%zz",
        b"offset=NOW",
        b"offset=now+",
        b"offset=-1&offset=-1",
        b"offset=" + str(OFFSET).encode() + b"0",
        b"offset=" + "١".encode(),
    ],
)
def test_a_place_that_is_none_is_refused(query: bytes) -> None:
    with pytest.raises(MalformedOffset):
        parse_read_query(query)
