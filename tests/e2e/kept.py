"""Answers that are kept, asked for by their API's ids: what tests of them have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tailrace.testing.chunks import chat_chunks
from tailrace.testing.exchange import ScriptedExchange
from tailrace.testing.response_events import RESPONSE_ID, response_events, typed_event
from tailrace.testing.script import Head, Script, Send, Wait, script
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.wire.llm.apis import APIS
from tests.e2e.harness import Body, Server, Viewer, get

RESPONSES = "/v1/responses"
CHATS = "/v1/chat/completions"
RESPONSE = f"{RESPONSES}/{RESPONSE_ID}"
CHAT = f"{CHATS}/chatcmpl-test0000000000000000"
TEXTS = ("Wasser ", "läuft", ".")
EVENTS = response_events(TEXTS)
CHUNKS = chat_chunks(TEXTS)
"""Of both an answer that says the same; ``[DONE]`` is the last of these."""

ANSWERS = {"responses": (RESPONSE, EVENTS), "chat": (CHAT, CHUNKS)}
HALF = {api: events[: 6 if api == "responses" else 3] for api, (_, events) in ANSWERS.items()}
"""By API: the path of an answer, and its events."""

Field = tuple[str, str]


def value_of(event: bytes) -> dict[str, Any]:
    """The JSON object of one block."""
    value: dict[str, Any] = json.loads(event.split(b"data: ", 1)[1])
    return value


def numbered_by(number: Callable[[int], int | None], events: Sequence[bytes]) -> list[bytes]:
    """The events with other numbers, or with none."""
    changed = []
    for place, event in enumerate(events):
        value = value_of(event)
        del value["sequence_number"]
        given = number(place)
        changed.append(typed_event(value if given is None else {**value, "sequence_number": given}))
    return changed


def post(server: Server, path: str, *fields: Field, **asked: Any) -> Viewer:
    """A POST with a body, if anything is asked; its head has not been read."""
    body = json.dumps(asked).encode() if asked else b""
    kind = [("Content-Type", "application/json")] if asked else []
    return Viewer(server, "POST", path, [*kind, *fields], body)


def ask(server: Server, api: str, *fields: Field, **asked: Any) -> Viewer:
    """A streamed answer of that API."""
    path = f"/v1{APIS[api].path}"
    return post(server, path, *fields, **{"model": "m", "stream": True, **asked})


class Got:
    """A whole response."""

    def __init__(self, viewer: Viewer) -> None:
        with viewer:
            if not viewer.status:
                viewer.head()
            self.body: Body = viewer.rest()
            self.status = viewer.status
            self.fields = viewer.fields

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body.data)
        return value

    @property
    def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and JSON."""
        return self.status, self.json


def call(server: Server, method: str, path: str, *fields: Field) -> Got:
    """A request without a body."""
    return Got(Viewer(server, method, path, fields))


def after(server: Server, path: str, number: object, *fields: Field) -> Viewer:
    """The events after that number, the head read."""
    return get(server, f"{path}?stream=true&starting_after={number}", *fields)


def blocks_of(body: bytes) -> list[bytes]:
    """The blocks of an event stream."""
    return [block + b"\n\n" for block in body.split(b"\n\n")[:-1]]


def said(answer: dict[str, Any]) -> str:
    """The text of a Response or a chat."""
    if "choices" in answer:
        return "".join(choice["message"]["content"] or "" for choice in answer["choices"])
    return "".join(part["text"] for item in answer["output"] for part in item["content"])


def until(viewer: Viewer, text: str) -> bytes:
    """Read the head, and until the text has come."""
    return viewer.head().until(lambda data: text.encode() in data)


def half(api: str) -> Script:
    """Half an answer, and then nothing more until the gate ``rest`` opens."""
    events = ANSWERS[api][1]
    begun = HALF[api]
    rest = [Send(event) for event in events[len(begun) :]]
    return script(Head(), *[Send(event) for event in begun], Wait("rest"), *rest)


# --- numbers ------------------------------------------------------------------------------------

NUMBERINGS: dict[str, Callable[[int], int | None]] = {
    "from-0": lambda place: place,
    "from-1": lambda place: place + 1,
    "from-100": lambda place: place + 100,
    "gaps": lambda place: place + place // 3,
    "wide-gaps": lambda place: 10 * place + 7,
    "none": lambda place: None,
}
ENDS = ("whole", "cut", "malformed")


def played(numbering: str, end: str) -> list[bytes]:
    """The events of a Response with these numbers, which ends so."""
    events = numbered_by(NUMBERINGS[numbering], EVENTS)
    if end == "malformed":
        return [*events[:5], b'data: {"sequence_number": 5, \n\n', *events[5:]]
    return events[:-1] if end == "cut" else events


def expected(numbering: str, body: bytes) -> dict[int, bytes]:
    """What of a body follows each number: events with a higher one, and an error of ours."""
    blocks = blocks_of(body)
    numbers: list[float] = []
    for place, block in enumerate(blocks):
        given = NUMBERINGS[numbering](place)
        ours = b"event: error" in block
        numbers.append(float("inf") if ours else place if given is None else given)
    highest = int(max(number for number in numbers if number != float("inf")))
    return {
        number: b"".join(b for b, n in zip(blocks, numbers, strict=True) if n > number)
        for number in (*range(highest + 3), 10**9)
    }


# --- the upstream -------------------------------------------------------------------------------


class Asked:
    """A scripted upstream, as if it had not been asked before."""

    def __init__(self, upstream: ThreadedUpstream) -> None:
        self.base_url = upstream.base_url
        self.script = upstream.script
        self.admit = upstream.admit
        self.disconnected = upstream.disconnected
        self._upstream = upstream
        self._before = len(upstream.requests)

    @property
    def requests(self) -> list[ScriptedExchange]:
        """Every request since then."""
        return self._upstream.requests[self._before :]

    def request(self, number: int = 1) -> ScriptedExchange:
        """The request of that number, once it has come."""
        return self._upstream.request(self._before + number)
