"""A chat's usage, as far as the client did not ask for it and the upstream was made to tell.

With ``stream_options.include_usage`` an answer has one more chunk before ``[DONE]``, with usage
and no choices, and a ``"usage":null`` in every other. A client that did not ask gets neither.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from tailrace.wire.json import strict_json
from tailrace.wire.json.strict_json import LARGE, NotJson, members

_NO_CHOICES: Final = re.compile(rb'"choices": ?\[\s*\]')
_NULL: Final = re.compile(rb'"usage"\s*:\s*null')
# Last, or last but OpenAI's random characters. The brace behind closes the chunk itself, and as
# no escape is near, the quotes are real ones; so what is between is a member of the chunk.
_TAIL: Final = re.compile(rb',"usage":null((?:,"obfuscation":"[A-Za-z0-9]*+")?\})\Z')
# Longer than such a tail is.
_REACH: Final = 200
# So many places are tried: each costs reading the chunk again. Servers write the member once.
_TRIES: Final = 8
_MEMBER: Final = re.compile(rb',\s*"usage"\s*:\s*null|"usage"\s*:\s*null\s*,\s*')


def is_usage_only(data: bytes) -> bool:
    """Whether a chunk is the extra one: no choices, but usage."""
    if _NO_CHOICES.search(data) is None or b'"usage"' not in data:
        return False
    try:
        chunk = members(strict_json.loads(data, latin=True))
    except NotJson:
        return False
    return chunk.get("choices") == [] and isinstance(chunk.get("usage"), tuple)


def without_null_usage(data: bytes) -> bytes:
    """The chunk without its ``"usage":null``, every other byte as it is.

    It stays in a large chunk, if it is not where it usually is: null means nothing to anybody.
    """
    if _NULL.search(data) is None:
        return data
    match = _TAIL.search(data, max(0, len(data) - _REACH))
    return data[: match.start()] + match[1] if match else _remove_exactly(data)


def _remove_exactly(data: bytes) -> bytes:
    """Take out what, taken out, leaves exactly the other members."""
    if len(data) > LARGE:
        return data
    try:
        chunk = strict_json.loads(data)
    except NotJson:
        return data
    if not isinstance(chunk, tuple):
        return data
    wanted = tuple(member for member in chunk if member != ("usage", None))
    if len(wanted) == len(chunk):
        return data
    for match in islice(_MEMBER.finditer(data), _TRIES):
        left = data[: match.start()] + data[match.end() :]
        try:
            if strict_json.loads(left) == wanted:
                return left
        except (NotJson, RecursionError):
            continue
    return data
