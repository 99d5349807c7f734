"""Reading what clients send: bodies, query strings, and the prompts in them.

``/stream`` reads its parameters as the article's server does with Go's ``r.URL.Query().Get``:

    in the query or form        is read as
    --------------------------  ----------------------------------------------
    a=1&a=2                     a is 1: the first value wins
    a+b, %20                    spaces
    a=%zz, a%zz=1, a;b=1        as if it were not there
    a=%ff, a=%e4%bd             U+FFFD for each byte that is not UTF-8
    a=                          as if it were not there (Go's "" for both)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final, NamedTuple, TypeAlias

from tailrace.contracts import Headers
from tailrace.errors import BadRequest, MalformedOffset, UnsupportedMediaType
from tailrace.model import Offset
from tailrace.wire.durable import parse_offset
from tailrace.wire.json.json_edit import JsonObject, read_object
from tailrace.wire.json.text import quote, unescape, unquote
from tailrace.wire.media_type import essence_of
from tailrace.wire.slices import Work, finish

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

DEFAULT_TEMPERATURE: Final = 0.7
"""The article's."""

BODY_PATIENCE: Final = 30.0
"""Seconds without a byte of the body until we stop waiting: several times what a mobile
connection is silent for, and as long as a whole head may take."""

MAX_FIELDS: Final = 1000
"""Parameters in a URL or a form, as in Django; of ours there are four."""

_PARAMETERS: Final = frozenset({"content", "temperature", "model", "system"})
# Bytes of a parameter's name that are looked at; ours, each byte escaped, are shorter.
_LONGEST_KEY: Final = 300
# Bytes of a model's name in JSON; and characters of a number that anybody writes.
_LONGEST_MODEL: Final = 4096
_LONGEST_NUMBER: Final = 1000
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_MISSING: Final = "Missing 'content' parameter: say what to ask, as in /stream?content=Hello."


class ClientGone(Exception):
    """The client left before its request was whole; nobody is there to be answered."""


class Prompt(NamedTuple):
    """What ``/stream`` is asked. Empty strings: not given."""

    content: str
    temperature: float = DEFAULT_TEMPERATURE
    model: str = ""
    system: str = ""


class ReadQuery(NamedTuple):
    """Where and how a stream is to be read."""

    offset: Offset | str | None
    """None (not given), ``"-1"``, ``"now"``, or an Offset."""
    view: str | None
    """None (not given) or whatever name was given."""
    live: str | None = None
    cursor: str | None = None


# --- the prompts of /stream -------------------------------------------------------------------


def parse_stream_query(query_string: bytes) -> Prompt:
    """The parameters in a URL. Raises BadRequest."""
    return finish(_parse_pairs(query_string))


def parse_stream_body(content_type: bytes | None, body: bytes) -> Work[Prompt]:
    """The same in a form or in a JSON object, by the request's Content-Type.

    Fields that are not ours are ignored. Raises BadRequest or UnsupportedMediaType.
    """
    media_type = essence_of(content_type)
    if media_type == "application/x-www-form-urlencoded":
        return _parse_pairs(body)
    if media_type == "application/json":
        return _parse_json(body)
    raise UnsupportedMediaType(
        "Send the parameters as application/x-www-form-urlencoded or application/json."
    )


class ChatRequest(NamedTuple):
    """A request to a model API, as bytes."""

    body: bytes
    model_at: tuple[int, int]
    """From where to where its model's name stands."""


def build_chat_request(
    prompt: Prompt, default_model: str, *, usage: bool = False
) -> Work[ChatRequest]:
    """The article's request body: its keys, in its order, and a system message if given.

    ``usage``: to be told at the end how many tokens it was.
    """
    start = b'{"model":'
    model = b"".join((yield from quote(prompt.model or default_model)))
    pieces = [start, model, b',"messages":[']
    if prompt.system:
        quoted = yield from quote(prompt.system)
        pieces += [b'{"role":"system","content":', *quoted, b"},"]
    quoted = yield from quote(prompt.content)
    pieces += [b'{"role":"user","content":', *quoted, b"}]"]
    pieces.append(b',"temperature":%b,"stream":true' % json.dumps(prompt.temperature).encode())
    pieces.append(b',"stream_options":{"include_usage":true}}' if usage else b"}")
    return ChatRequest(b"".join(pieces), (len(start), len(start) + len(model)))


def _parse_pairs(query: bytes) -> Work[Prompt]:
    values: dict[str, str] = {}
    for key, start, end in _pairs(query):
        if key in _PARAMETERS and key not in values:
            text = yield from unquote(query, start, end)
            if text is not None:
                values[key] = text.decode()
    content = values.get("content", "")
    if not content:
        raise BadRequest(_MISSING)
    temperature = DEFAULT_TEMPERATURE
    if said := values.get("temperature", ""):
        short = len(said) <= _LONGEST_NUMBER
        temperature = float(said) if short and _NUMBER.fullmatch(said) else math.nan
        if not math.isfinite(temperature):
            raise BadRequest("'temperature' must be a finite number.")
    return Prompt(content, temperature, values.get("model", ""), values.get("system", ""))


def _parse_json(body: bytes) -> Work[Prompt]:
    fields = yield from read_object(body)
    _refuse_repeated(fields)
    temperature = _json_number(fields.get("temperature"))
    content = yield from _text_field(fields, "content")
    model = yield from _text_field(fields, "model")
    system = yield from _text_field(fields, "system")
    if not content:
        raise BadRequest(_MISSING)
    return Prompt(content, temperature, model, system)


def _refuse_repeated(fields: JsonObject) -> None:
    seen: set[str] = set()
    for member in fields.members:
        if member.name in seen:
            raise BadRequest(f"The body gives {json.dumps(member.name)} twice.")
        seen.add(member.name)


def _json_number(value: bytes | None) -> float:
    if value in (None, b"null"):
        return DEFAULT_TEMPERATURE
    is_number = value is not None and value[:1] in b"-0123456789"
    number = float(value) if is_number and value is not None else math.nan
    if not math.isfinite(number):
        raise BadRequest("'temperature' must be a finite number.")
    return number


def _text_field(fields: JsonObject, name: str) -> Work[str]:
    spans = fields.values(name)
    if not spans or fields.data[slice(*spans[-1])] == b"null":
        return ""
    start, end = spans[-1]
    if fields.data[start : start + 1] != b'"':
        raise BadRequest(f"'{name}' must be a string.")
    # Go reads a lone surrogate as U+FFFD; and UTF-8, in which we ask on, has no room for one.
    text = yield from unescape(fields.data, start, end)
    return text.decode()


# --- the model APIs ---------------------------------------------------------------------------


class ModelRequest(NamedTuple):
    """A request to a model API, and what we need to know of it; its bytes go on untouched."""

    body: JsonObject
    stream: bool
    model: str
    """Empty where it names none."""
    background: bool
    """Responses: the client does not wait for the answer."""
    stream_options: bool
    """The client has something to say of how it is to be streamed."""
    reserved: object = None
    """The body's room in ``max_bodies``: hold it as long as the body."""


def read_model_request(body: bytes) -> Work[ModelRequest]:
    """Raises BadRequest, with the position, where the body is not a JSON object."""
    fields = yield from read_object(body)
    return ModelRequest(
        fields,
        fields.get("stream") == b"true",
        _short_text(fields, "model"),
        fields.get("background") == b"true",
        fields.get("stream_options") not in (None, b"null"),
    )


def _short_text(fields: JsonObject, name: str) -> str:
    """A member that is a string; empty where it is none, or longer than any name."""
    spans = fields.values(name)
    if not spans or spans[-1][1] - spans[-1][0] > _LONGEST_MODEL:
        return ""
    value = json.loads(fields.data[slice(*spans[-1])])
    return value if isinstance(value, str) else ""


def prefers_async(headers: Headers) -> bool:
    """Whether the client would have the answer's address at once (RFC 7240, 4.1)."""
    said = b",".join(value for name, value in headers if name == b"prefer").split(b",")
    # A preference may have parameters; what is not understood is ignored (RFC 7240, 2).
    return any(each.partition(b";")[0].strip().lower() == b"respond-async" for each in said)


def peek_model(body: bytes) -> Work[str]:
    """The ``model`` that a JSON body names; empty where it names none or is no JSON object,
    which is then the upstream's to say."""
    try:
        return (yield from read_model_request(body)).model
    except BadRequest:
        return ""


# --- reading streams --------------------------------------------------------------------------


def parse_read_query(query_string: bytes) -> ReadQuery:
    """The parameters of a stream's URL; others are ignored. Raises MalformedOffset."""
    given: dict[str, list[str | None]] = {}
    for key, start, end in _pairs(query_string):
        given.setdefault(key, []).append(_unquote(query_string[start:end]))
    offsets = given.get("offset", [])
    if len(offsets) > 1:
        raise MalformedOffset("Give 'offset' once.")
    view, live, cursor = (given.get(key, [None])[0] for key in ("view", "live", "cursor"))
    return ReadQuery(parse_offset(offsets[0]) if offsets else None, view, live, cursor)


# --- query strings ----------------------------------------------------------------------------


def first_value(query: bytes, name: str) -> str:
    """A parameter of a URL, its first value; empty where there is none. Raises BadRequest."""
    values = (_unquote(query[start:end]) for key, start, end in _pairs(query) if key == name)
    return next(values, None) or ""


def _pairs(query: bytes) -> Iterator[tuple[str, int, int]]:
    """Keys, and from where to where their values stand as they were sent. Raises BadRequest."""
    start = 0
    for _ in range(MAX_FIELDS):
        end = query.find(b"&", start)
        end = len(query) if end < 0 else end
        equals = query.find(b"=", start, end)
        key = query[start : end if equals < 0 else min(equals, start + _LONGEST_KEY)]
        # Go since 1.17: a semicolon separates nothing.
        name = None if query.find(b";", start, end) >= 0 else _unquote(key[:_LONGEST_KEY])
        if start < end and name is not None:
            yield name, end if equals < 0 else equals + 1, end
        start = end + 1
        if start > len(query):
            return
    raise BadRequest(f"There are more than {MAX_FIELDS} parameters; send fewer.")


def _unquote(raw: bytes) -> str | None:
    """None for a bad escape."""
    text = finish(unquote(raw, 0, len(raw)))
    return None if text is None else text.decode()
