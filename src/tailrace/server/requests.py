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
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from tailrace.contracts import Headers
from tailrace.errors import BadRequest, BodyTooLarge, MalformedOffset, UnsupportedMediaType
from tailrace.model import Offset
from tailrace.patience import timeout
from tailrace.wire.durable import parse_offset
from tailrace.wire.media_type import essence_of

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

DEFAULT_TEMPERATURE: Final = 0.7
"""The article's."""

BODY_PATIENCE: Final = 30.0
"""Seconds without a byte of the body until we stop waiting: several times what a mobile
connection is silent for, and as long as a whole head may take."""

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
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


# --- bodies -----------------------------------------------------------------------------------


async def read_body(
    receive: Receive, limit: int, headers: Headers = (), *, patience: float = BODY_PATIENCE
) -> bytes:
    """The whole body, of at most ``limit`` bytes.

    ``headers`` are the request's: where they announce too much, nothing is read, and a client
    that waits for ``100 Continue`` sends nothing. Raises BodyTooLarge, ClientGone, or
    BadRequest where nothing came for ``patience`` seconds.
    """
    for name, value in headers:
        # Longer than 19 digits is past any limit, and past what int() should be given.
        if name == b"content-length" and (len(value) > 19 or int(value) > limit):
            raise BodyTooLarge(_too_large(limit))
    body = bytearray()
    more = True
    while more:
        try:
            async with timeout(patience):
                message = await receive()
        except TimeoutError:
            raise BadRequest(f"No byte of the body came for {patience:g} seconds.") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise BodyTooLarge(_too_large(limit))
    return bytes(body)


def _too_large(limit: int) -> str:
    return f"The request body is over the limit of {limit} bytes."


# --- the prompts of /stream -------------------------------------------------------------------


def parse_stream_query(query_string: bytes) -> Prompt:
    """The parameters in a URL. Raises BadRequest."""
    return _prompt_from_texts(_first_values(query_string))


def parse_stream_form(body: bytes) -> Prompt:
    """The same in an ``application/x-www-form-urlencoded`` body. Raises BadRequest."""
    return _prompt_from_texts(_first_values(body))


def parse_stream_json(body: bytes) -> Prompt:
    """The same in a JSON object. Fields that are not ours are ignored. Raises BadRequest."""
    fields = json_object(body, _once_each)
    temperature = fields.get("temperature")
    if temperature is None:
        temperature = DEFAULT_TEMPERATURE
    if not isinstance(temperature, float) or not math.isfinite(temperature):
        raise BadRequest("'temperature' must be a finite number.")
    texts = {name: _text_field(fields, name) for name in ("content", "model", "system")}
    if not texts["content"]:
        raise BadRequest(_MISSING)
    return Prompt(texts["content"], temperature, texts["model"], texts["system"])


def parse_stream_body(content_type: bytes | None, body: bytes) -> Prompt:
    """By the request's Content-Type. Raises BadRequest or UnsupportedMediaType."""
    media_type = essence_of(content_type)
    if media_type == "application/x-www-form-urlencoded":
        return parse_stream_form(body)
    if media_type == "application/json":
        return parse_stream_json(body)
    raise UnsupportedMediaType(
        "Send the parameters as application/x-www-form-urlencoded or application/json."
    )


def build_chat_request(prompt: Prompt, default_model: str, *, usage: bool = False) -> bytes:
    """The article's request body: its keys, in its order, and a system message if given.

    ``usage``: to be told at the end how many tokens it was.
    """
    messages = [{"role": "user", "content": prompt.content}]
    if prompt.system:
        messages.insert(0, {"role": "system", "content": prompt.system})
    request: dict[str, Any] = {
        "model": prompt.model or default_model,
        "messages": messages,
        "temperature": prompt.temperature,
        "stream": True,
    }
    if usage:
        request["stream_options"] = {"include_usage": True}
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()


def _prompt_from_texts(values: Mapping[str, str]) -> Prompt:
    content = values.get("content", "")
    if not content:
        raise BadRequest(_MISSING)
    temperature = DEFAULT_TEMPERATURE
    if text := values.get("temperature", ""):
        temperature = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(temperature):
            raise BadRequest("'temperature' must be a finite number.")
    return Prompt(content, temperature, values.get("model", ""), values.get("system", ""))


def _text_field(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"'{name}' must be a string.")
    # Go reads a lone surrogate so; and UTF-8, in which we ask on, has no room for one.
    return _LONE_SURROGATE.sub("\ufffd", value)


# --- the model APIs ---------------------------------------------------------------------------


class ModelRequest(NamedTuple):
    """What we need to know of a request to a model API; its bytes go on untouched."""

    stream: bool
    model: str
    """Empty where it names none."""
    background: bool
    """Responses: the client does not wait for the answer."""
    stream_options: bool
    """The client has something to say of how it is to be streamed."""


def peek_model_request(body: bytes) -> ModelRequest:
    """Raises BadRequest, with the position, where the body is not a JSON object."""
    fields = json_object(body)
    model = fields.get("model")
    return ModelRequest(
        fields.get("stream") is True,
        model if isinstance(model, str) else "",
        fields.get("background") is True,
        fields.get("stream_options") is not None,
    )


def prefers_async(headers: Headers) -> bool:
    """Whether the client would have the answer's address at once (RFC 7240, 4.1)."""
    said = b",".join(value for name, value in headers if name == b"prefer").split(b",")
    # A preference may have parameters; what is not understood is ignored (RFC 7240, 2).
    return any(each.partition(b";")[0].strip().lower() == b"respond-async" for each in said)


def peek_model(body: bytes) -> str:
    """The ``model`` that a JSON body names; empty where it names none or is no JSON object,
    which is then the upstream's to say."""
    try:
        return peek_model_request(body).model
    except BadRequest:
        return ""


# --- reading streams --------------------------------------------------------------------------


def parse_read_query(query_string: bytes) -> ReadQuery:
    """The parameters of a stream's URL; others are ignored. Raises MalformedOffset."""
    given: dict[str, list[str | None]] = {}
    for key, value in _pairs(query_string):
        given.setdefault(key, []).append(value)
    offsets = given.get("offset", [])
    if len(offsets) > 1:
        raise MalformedOffset("Give 'offset' once.")
    view, live, cursor = (given.get(key, [None])[0] for key in ("view", "live", "cursor"))
    return ReadQuery(parse_offset(offsets[0]) if offsets else None, view, live, cursor)


# --- query strings ----------------------------------------------------------------------------


def _first_values(query: bytes) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in _pairs(query):
        if value is not None:
            values.setdefault(key, value)
    return values


def _pairs(query: bytes) -> Iterator[tuple[str, str | None]]:
    """Keys and values in their order; None for a value with a bad escape."""
    for piece in query.split(b"&"):
        if not piece or b";" in piece:  # Go since 1.17: a semicolon separates nothing
            continue
        raw_key, _, raw_value = piece.partition(b"=")
        key = _unescape(raw_key)
        if key is not None:
            yield key, _unescape(raw_value)


def _unescape(raw: bytes) -> str | None:
    if _BAD_ESCAPE.search(raw):
        return None
    data = unquote_to_bytes(raw.replace(b"+", b" "))
    # One U+FFFD for each bad byte, as Go does; Python's "replace" makes fewer of them.
    return _LONE_SURROGATE.sub("\ufffd", data.decode("utf-8", "surrogateescape"))


# --- JSON -------------------------------------------------------------------------------------

_Pairs: TypeAlias = list[tuple[str, Any]]


def json_object(body: bytes, hook: Callable[[_Pairs], dict[str, Any]] = dict) -> dict[str, Any]:
    """Parse strictly. Numbers become floats: an int of 5000 digits is valid, and costly."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_int=float,
            parse_constant=_refuse_constant,
            object_pairs_hook=hook,
        )
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"The body is not valid JSON: {error.msg} at {position}.") from None
    except RecursionError:
        raise BadRequest("The body's JSON is nested too deeply.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    return value


def _refuse_constant(name: str) -> None:
    raise BadRequest(f"The body is not valid JSON: {name} is no JSON number.")


def _once_each(pairs: _Pairs) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise BadRequest(f"The body gives {json.dumps(name)} twice.")
        seen.add(name)
    raise AssertionError("unreachable")
