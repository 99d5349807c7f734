"""From a request for a streamed answer to the stream that it becomes. Used by every model API."""

from __future__ import annotations

import asyncio
import json
import re
from types import TracebackType
from typing import Any, Final, Self

from tailrace.chat.owners import owned_name
from tailrace.chat.relay.answer_stats import Tokens
from tailrace.chat.relay.observer import ObservedAnswer
from tailrace.chat.relay.relay import Relay
from tailrace.contracts import Observer
from tailrace.errors import StoreError, TailraceError
from tailrace.log.catalogue import Catalogue
from tailrace.log.lifecycle import State
from tailrace.log.reading import read_range
from tailrace.log.stream import STORAGE, Stream
from tailrace.model import DATA, EndingKind
from tailrace.web.paths import stream_url
from tailrace.wire.json.strict_json import LARGE
from tailrace.wire.llm.apis import Api
from tailrace.wire.llm.estimate import estimated_request, estimated_tokens

# A generation's characters that tell its time: enough to find an answer by in a log, and nothing
# of the part that makes its link a secret.
_SHOWN: Final = 10
# What a model may be called in a log: a client can send anything in its place.
_NAME: Final = re.compile(r"[\w.:/@+-]{0,100}", re.ASCII)
# Bytes of an answer that are read to count its tokens by; of a longer one the rest is reckoned.
_COUNTED: Final = 4 << 20


async def keep(stream: Stream, relay: Relay | None) -> None:
    """Wait until no crash can take back what was written of an answer, before it is relied on.

    Raises StoreError, and then the answer has ended.
    """
    failure: StoreError | None = None
    try:
        await stream.committed()
    except StoreError as error:
        failure = error
    if failure is not None:
        if relay is not None:
            relay.stop(EndingKind.FAILED, STORAGE)
        raise failure


def alias_of(api: Api, identity: str, owner: bytes) -> str:
    """Return the alias of the answer that its API calls ``identity`` and ``owner`` asked for.

    ``identity`` may hold anything that JSON can, lone surrogates among it.
    """
    return owned_name("id", owner, api.name.encode(), identity.encode("utf-8", "surrogatepass"))


def content_location(stream: Stream) -> tuple[bytes, bytes]:
    """Says where this answer can be had again (RFC 9110, 8.7)."""
    return (b"content-location", stream_url(stream.name).encode("ascii"))


class Waiting:
    """``with``: a client waits for an answer's beginning, until it views it or gives up."""

    def __init__(self, relay: Relay | None) -> None:
        self._relay = relay

    def __enter__(self) -> Self:
        if self._relay is not None:
            self._relay.wait()
        return self

    def over(self) -> None:
        """It has become a viewer, or gives up."""
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.waited()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over()


class Recorder:
    """Keeps what becomes known of answers: their ids, and at their end the facts."""

    def __init__(self, catalogue: Catalogue, observer: Observer) -> None:
        self._catalogue = catalogue
        self._observer = observer
        self._counting: set[asyncio.Task[None]] = set()

    def named(self, answer: ObservedAnswer, identity: str) -> None:
        """By this name the API's own calls find the answer, if its owner makes them."""
        order = answer.order
        self._catalogue.alias(answer.stream, alias_of(order.api, identity, order.owner))

    def ended(self, answer: ObservedAnswer) -> None:
        """Note the facts, where need be after counting what the upstream did not come to say."""
        ending = answer.stream.ending
        # Of an answer with a seam no upstream knows the whole.
        told = answer.facts.tokens is not None and not answer.facts.seams
        counted = told and ending is not None and ending.whole
        if counted or not answer.facts.events:
            self._record(answer)
            return
        task = asyncio.get_running_loop().create_task(self._count(answer))
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)

    def refused(self, relay: Relay) -> None:
        """It never began; its stream goes."""
        if relay.withdraw():
            self._catalogue.drop(relay.stream)
            self._say(relay, "refused")

    async def close(self) -> None:
        """Note what is still being counted."""
        if self._counting:
            await asyncio.wait(self._counting)

    async def _count(self, answer: ObservedAnswer) -> None:
        facts, stream = answer.facts, answer.stream
        try:
            events = await read_range(stream, 0, _COUNTED)
            data = [event.data for event in events if event.type == DATA]
            output = await asyncio.to_thread(_estimate, answer.order.api, data)
        except TailraceError:  # deleted meanwhile, or the store is at fault
            self._record(answer)
            return
        read = sum(map(len, data))
        if read:
            output = round(output * max(stream.info.size, read) / read)
        reported = facts.tokens.input if facts.tokens is not None else 0
        facts.tokens = Tokens(reported or answer.order.input_tokens, output, estimated=True)
        self._record(answer)

    def _record(self, answer: ObservedAnswer) -> None:
        stream = answer.stream
        facts = answer.facts.as_json()
        if stream.state is not State.GONE:
            stream.note(json.dumps({**note_of(stream), **facts}, separators=(",", ":")).encode())
        ending = stream.ending
        self._say(answer, ending.kind.value if ending is not None else "")

    def _say(self, answer: ObservedAnswer, ending: str) -> None:
        """Without the ending's reason: an upstream's words may repeat what it was asked."""
        facts = answer.facts.as_json()
        if not _NAME.fullmatch(facts["model"]):
            facts["model"] = "?"
        stream = answer.stream.generation[:_SHOWN]
        said = {"stream": stream, "id": answer.facts.identity, **facts, "ending": ending}
        self._observer.source_ended("answer", said)


def _estimate(api: Api, events: list[bytes]) -> int:
    """Roughly the tokens of an answer's text. Takes long: in a thread.

    The text of a large event is not read: a thread that parses JSON holds up the event loop.
    """
    text = api.text_reader()
    small = [text(event) for event in events if len(event) <= LARGE]
    large = sum(len(event) for event in events if len(event) > LARGE)
    return estimated_tokens(b"".join(small).decode("utf-8", "replace")) + estimated_request(large)


def note_of(stream: Stream) -> dict[str, Any]:
    """What is noted of an answer."""
    note = stream.info.note
    found: dict[str, Any] = json.loads(note) if note else {}
    return found
