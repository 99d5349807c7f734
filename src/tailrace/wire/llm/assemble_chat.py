"""A streamed chat, or text completion, put together (`tailrace.wire.assembly`).

Deltas become the message of their choice, whatever members they have. Two things differ from a
stream: tool calls have no ``index``, and there is no ``obfuscation``. The API has no word for an
answer that is not whole but ``finish_reason: null``; where one ended so, an ``error`` beside the
choices says how, in the words of the ``openai`` view.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tailrace.model import EndingKind
from tailrace.wire.llm.assembly import Json, Text, mapping, merge, plain, read, words

_OBJECTS: Final = {"chat.completion.chunk": "chat.completion"}
# llama.cpp says in each chunk when that chunk was made.
_OF_THE_FIRST: Final = ("id", "created", "model")
_ONLY_STREAMED: Final = ("choices", "obfuscation")


class ChatAssembly:
    """Chunks in, ``chat.completion`` or ``text_completion`` out."""

    def __init__(self) -> None:
        self._answer: Json = {}
        self._choices: dict[int, Json] = {}

    def add(self, data: bytes) -> None:
        """The data of the stream's next event."""
        chunk = read(data)
        choices = chunk.get("choices")
        if not isinstance(choices, list):  # an error of the upstream's, or no chunk at all
            return
        for name, value in chunk.items():
            held = self._answer.get(name)
            if name not in _ONLY_STREAMED and not (name in _OF_THE_FIRST and held is not None):
                self._answer[name] = held if value is None else value
        for place, choice in enumerate(choices):
            self._add_choice(place, mapping(choice))

    def _add_choice(self, place: int, choice: Mapping[str, Any]) -> None:
        index = choice.get("index")
        index = index if isinstance(index, int) else place
        held = self._choices.setdefault(index, {})
        held["index"] = index
        for name, value in choice.items():
            if name == "delta":
                merge(held, {"message": mapping(value)})
            elif name == "logprobs" or (name == "text" and isinstance(value, str)):
                merge(held, {name: value})  # these go on; all else is a state
            elif value is not None or name not in held:
                held[name] = value

    def result(self, ending: EndingKind | None, reason: str, text: Text = str) -> Json:
        """The answer as far as it has come; None: it goes on."""
        answer = dict(self._answer)
        answer["object"] = _OBJECTS.get(str(answer.get("object")), answer.get("object"))
        answer["choices"] = [_choice(self._choices[index], text) for index in sorted(self._choices)]
        if answer.get("usage") is None:
            answer.pop("usage", None)
        if ending is not None and ending is not EndingKind.COMPLETED:
            said = words(ending, reason)
            kind = f"stream_{ending}"
            answer["error"] = {"message": said, "type": kind, "code": str(ending), "param": None}
        return answer


def _choice(held: Json, text: Text) -> Json:
    choice: Json = plain(held, text, without="index")
    if "message" in choice:
        message = mapping(choice["message"])
        choice["message"] = {"role": "assistant", "content": None, **message}
    return {"finish_reason": None, **choice}
