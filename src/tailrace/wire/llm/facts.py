"""What single events of an answer say of the whole: its id, their numbers, its tokens.

All but `answer_id` are asked of every event, so each looks first for bytes that most have not.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tailrace.wire.json import strict_json
from tailrace.wire.json.strict_json import LARGE, NotJson, Value, members
from tailrace.wire.llm.apis import MESSAGES, RESPONSES, Api

LONGEST_ID: Final = 1024
"""Characters of an answer's id: gateways put whole routes into theirs, of a few hundred."""
_WRAPPERS: Final = {RESPONSES.name: "response", MESSAGES.name: "message"}
# No quote of these is in a string: there it would have a backslash before it, and so would the
# other one. They may be members of something inside, though.
_NUMBER: Final = re.compile(rb'"sequence_number": ?([0-9]{1,15})[,}]')
_HAS_USAGE: Final = re.compile(rb'"usage": ?\{')


class Usage(NamedTuple):
    """Counts of tokens; None where the event does not tell."""

    input: int | None
    """All of the prompt's, those that a cache had among them."""
    output: int | None
    cached: int | None
    """Those of the prompt that a cache had."""

    def over(self, earlier: Usage) -> Usage:
        """What is known after both events: counts are of the whole, so the later one's hold."""
        pairs = zip(self, earlier, strict=True)
        return Usage(*[mine if mine is not None else theirs for mine, theirs in pairs])


def answer_id(api: Api, data: bytes) -> str:
    """The id of the answer that begins with this event; empty where it has none.

    One of more than ``LONGEST_ID`` characters counts as none: it is kept and logged nowhere. So
    does one of a large event that is not ASCII.
    """
    event = _read(data)
    wrapper = _WRAPPERS.get(api.name)
    found = (members(event.get(wrapper)) if wrapper else event).get("id")
    if not isinstance(found, str) or len(found) > LONGEST_ID:
        return ""
    return found if len(data) <= LARGE or found.isascii() else ""


def sequence_number(data: bytes) -> int | None:
    """The number that the Responses API gave an event; other servers give none."""
    match = _NUMBER.search(data)
    if match is None:
        return None
    if data.count(b"{") == 1:
        return int(match[1])
    return _count(_read(data).get("sequence_number"))


def usage(api: Api, data: bytes) -> Usage | None:
    """The tokens that the answer has used as of this event; None: it does not say."""
    if _HAS_USAGE.search(data) is None:
        return None
    event = _read(data)
    if api.name == MESSAGES.name:
        return _of_messages(members(event.get("message")).get("usage") or event.get("usage"))
    if api.name == RESPONSES.name:
        said = members(event.get("response")).get("usage")
        return _of_openai(said, "input_tokens", "output_tokens", "input_tokens_details")
    said = event.get("usage")
    return _of_openai(said, "prompt_tokens", "completion_tokens", "prompt_tokens_details")


def _of_openai(said: Value, inputs: str, outputs: str, details: str) -> Usage | None:
    if not isinstance(said, tuple):
        return None
    counts = members(said)
    cached = _count(members(counts.get(details)).get("cached_tokens"))
    return Usage(_count(counts.get(inputs)), _count(counts.get(outputs)), cached)


def _of_messages(said: Value) -> Usage | None:
    """Anthropic's ``input_tokens`` are those that no cache had anything to do with."""
    if not isinstance(said, tuple):
        return None
    counts = members(said)
    fresh, cached = (
        _count(counts.get("input_tokens")),
        _count(counts.get("cache_read_input_tokens")),
    )
    stored = _count(counts.get("cache_creation_input_tokens"))
    inputs = None if fresh is None else fresh + (cached or 0) + (stored or 0)
    return Usage(inputs, _count(counts.get("output_tokens")), cached)


def _read(data: bytes) -> dict[str, Value]:
    """Its members; of those of a large event what is not ASCII is not as it was."""
    try:
        return members(strict_json.loads(data, latin=len(data) > LARGE))
    except NotJson:
        return {}


def _count(value: Value) -> int | None:
    # float, since strict_json reads every number so; no bool is one.
    return int(value) if isinstance(value, float) and 0 <= value < float(1 << 53) else None
