"""Checks what the views show against their grammars, each read by code that is not ours."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from tests.fuzz.campaign import Finding

OWN_VIEW: Final = {
    "chat": "openai",
    "completions": "openai",
    "responses": "responses",
    "messages": "messages",
}
ENDINGS: Final = frozenset(
    {"completed", "cut", "stalled", "failed", "cancelled", "interrupted", "expired"}
)
_FIELD: Final = re.compile(r"(?:id|event|data|retry)(?:: |:$|$)|:")
_LAST_WORDS: Final = {
    "responses": {"response.completed", "response.incomplete"},
    "messages": {"message_stop"},
}


class Shown(NamedTuple):
    """A body, and whether it came to its end."""

    data: bytes
    whole: bool


class Block(NamedTuple):
    """One event of an event stream."""

    id: str
    type: str
    data: str


# These hand on the upstream's data byte for byte, those that are no UTF-8 too (docs/views.md).
_VERBATIM: Final = frozenset({"sse", "openai", "responses", "messages"})


def text_of(view: str, data: bytes) -> str:
    """The text; raises Finding where it must be UTF-8 and is not."""
    if view in _VERBATIM:
        return data.decode("utf-8", "replace")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        around = data[max(0, error.start - 40) : error.end + 40]
        raise Finding(f"{view} is no UTF-8", repr(around)) from error


def blocks_of(view: str, data: bytes) -> list[Block]:
    """The events of a whole event stream, exactly as we write them."""
    text = text_of(view, data)
    if "\r" in text:
        raise Finding(f"{view} has a carriage return", repr(text[:300]))
    if text and not text.endswith("\n"):
        raise Finding(f"{view} ends within a line", repr(text[-300:]))
    found, fields = [], dict[str, list[str]]()
    for line in text.split("\n")[:-1]:
        if not line:
            if "data" in fields:
                ids, kinds = fields.get("id", [""]), fields.get("event", [""])
                if len(ids) > 1 or len(kinds) > 1:
                    raise Finding(f"{view} has a field twice", str(fields)[:300])
                found.append(Block(ids[0], kinds[0], "\n".join(fields["data"])))
            fields = {}
            continue
        if not _FIELD.match(line):
            raise Finding(f"{view} has a line that is no field", repr(line[:300]))
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" in fields:
        raise Finding(f"{view} ends within an event", str(fields)[:300])
    return found


def strict_json(view: str, text: str) -> Any:
    """The value of RFC 8259's JSON; raises Finding where it is none."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        return None
    except ValueError as error:
        raise Finding(f"{view} has a line that is no JSON", f"{error}: {text[:300]!r}") from error


def check(api: str, views: dict[str, Shown]) -> str:
    """Check all views of one closed stream against each other; returns its ending."""
    blocks = blocks_of("sse", views["sse"].data)
    ends = [block for block in blocks if block.type == "end"]
    if not views["sse"].whole or len(ends) != 1 or blocks[-1] != ends[0]:
        raise Finding("the view sse has not one end", repr(views["sse"].data[-300:]))
    ending = str(strict_json("sse", ends[0].data)["ending"])
    if ending not in ENDINGS:
        raise Finding("an ending of no kind", ending)
    ids = [block.id for block in blocks]
    if ids != sorted(set(ids)):
        raise Finding("ids are not in order", str(ids)[:300])
    _check_ndjson(views["ndjson"], ids, ending)
    text_of("text", views["text"].data)
    if views["text"].whole != (ending == "completed"):
        raise Finding("the view text does not tell the ending", ending)
    check_own(api, views[OWN_VIEW[api]], ending)
    return ending


def _check_ndjson(shown: Shown, ids: list[str], ending: str) -> None:
    text = text_of("ndjson", shown.data)
    if not shown.whole or not text.endswith("\n"):
        raise Finding("the view ndjson ends within a line", repr(text[-300:]))
    lines = [strict_json("ndjson", line) for line in text[:-1].split("\n")]
    if None in lines:
        return  # too deep for the reader here
    if [line["id"] for line in lines] != ids:
        raise Finding("ndjson and sse show other events")
    if [line.get("ending") for line in lines if line["type"] == "end"] != [ending]:
        raise Finding("ndjson and sse tell other endings", ending)


def check_own(api: str, shown: Shown, ending: str) -> None:
    """Check what an SDK reads: the answer in its API's own grammar."""
    view = OWN_VIEW[api]
    if not shown.whole:
        raise Finding(f"{view} is cut", ending)
    blocks = blocks_of(view, shown.data)
    if view == "openai":
        done = [block.data for block in blocks].count("[DONE]")
        if done != (ending == "completed") or (done and blocks[-1].data != "[DONE]"):
            raise Finding("openai's [DONE] does not tell the ending", f"{ending}, {done}")
        last = [] if done else blocks[-1:]
    else:
        last = blocks[-1:]
        whole = bool(last) and _type_of(last[0]) in _LAST_WORDS[view]
        if whole != (ending == "completed"):
            raise Finding(f"{view}'s last event does not tell the ending", f"{ending}, {last}")
    if ending != "completed" and (not last or not _is_error(last[0])):
        raise Finding(f"{view} does not end with an error", f"{ending}, {str(last)[-400:]}")


def _type_of(block: Block) -> str:
    value = strict_json("an event", block.data)
    return str(value.get("type")) if isinstance(value, dict) else ""


def _is_error(block: Block) -> bool:
    value = strict_json("an event", block.data)
    if not isinstance(value, dict):
        return False
    failed = ("error", "response.failed", "response.cancelled")
    return bool(value.get("error")) or value.get("type") in failed
