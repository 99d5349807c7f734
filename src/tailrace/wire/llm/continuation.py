"""A chat's answer that broke off, continued by another model: as text, and no more than that.

The rest is asked for with the text so far as a last message of the assistant's, which servers of
open models take for the beginning of what they are to say. What comes is not passed on as it is:
it would be another answer, with another id. Its text and its ``finish_reason`` are put into chunks
like the first answer's. Of an answer that is more than text (tools, several choices, log
probabilities) nobody can say how it goes on.
"""

from __future__ import annotations

import json
from typing import Any

from tailrace.wire.json.json_edit import JsonObject
from tailrace.wire.llm.assembly import read


class Continuing:
    """The request for the rest of the answer to ``body``, as the answer's events are read."""

    def __init__(self, body: JsonObject) -> None:
        self._body = body
        self._said: list[str] = []
        self._is_text = True
        self.first: bytes | None = None
        """The answer's first event."""

    def add(self, data: bytes) -> bool:
        """Take the next event; False: nobody can go on with this answer."""
        if self.first is None:
            self.first = data
        choices = read(data).get("choices")
        if choices != []:
            delta = _only_delta(choices)
            self._is_text = self._is_text and delta is not None
            self._said.append(delta or "")
        return self._is_text

    def request(self) -> JsonObject | None:
        """The request.

        None where there is no text to go on from, where it is more than text, or has come to its
        end.
        """
        text = "".join(self._said)
        messages = self._body.get("messages")
        if not (self._is_text and text and messages and messages.rstrip().endswith(b"]")):
            return None
        said = json.dumps({"role": "assistant", "content": text}).encode()
        before = messages.rstrip()[:-1].rstrip()
        comma = b"" if before.endswith(b"[") else b","
        return self._body.with_member("messages", before + comma + said + b"]")


def _only_delta(choices: object) -> str | None:
    """The text of the one choice, if it has nothing else."""
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    choice: dict[str, Any] = choices[0]
    delta = choice.get("delta")
    if not isinstance(delta, dict) or choice.get("index", 0) != 0:
        return None
    told = {name: value for name, value in {**choice, **delta}.items() if value}
    content = delta.get("content") or ""
    if told.keys() - {"index", "delta", "role", "content"} or not isinstance(content, str):
        return None
    return content


class Rest:
    """Chunks of another answer, as those of the one that began with ``first``."""

    def __init__(self, first: bytes) -> None:
        self._frame = {name: value for name, value in read(first).items() if name != "usage"}

    def chunk(self, data: bytes) -> bytes | None:
        """None for what is not to be shown: roles, usage, an answer's other parts."""
        choices = read(data).get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return None
        delta = choice.get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        finish = choice.get("finish_reason")
        if not content and not finish:
            return None
        said = {"content": content} if isinstance(content, str) and content else {}
        mine = [{"index": 0, "delta": said, "finish_reason": finish}]
        return json.dumps({**self._frame, "choices": mine}, separators=(",", ":")).encode()
