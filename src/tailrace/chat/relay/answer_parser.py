"""What an upstream's bytes mean for an answer: events to keep, and perhaps how it ends. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from tailrace.chat.relay.answer_stats import Facts, Tokens
from tailrace.chat.relay.relay_request import Order
from tailrace.contracts import BodyEnd
from tailrace.model import DATA, ERROR, EndingCode, EndingKind
from tailrace.wire.json.strict_json import LARGE, MAX_VALUES
from tailrace.wire.llm.continuation import Rest
from tailrace.wire.llm.facts import Usage, answer_id, usage
from tailrace.wire.llm.records import AnswerParser, Record, RecordKind, reported
from tailrace.wire.llm.usage import is_usage_only, without_null_usage

USAGE: Final = "usage"
"""The type of the event that holds what the upstream reports because we asked for it."""
SEAM: Final = "seam"
"""The type of the event that stands where another upstream went on with an answer."""


Words: TypeAlias = list[tuple[str, bytes]]
"""Types and data of the events that say in the stream why an answer failed."""


class AnswerEnd(NamedTuple):
    """How an answer ends: what its stream's ending will say."""

    kind: EndingKind
    reason: str = ""
    code: EndingCode = EndingCode.NONE


class Taken(NamedTuple):
    """What came of some bytes."""

    batch: list[tuple[str, bytes]]
    """Types and data of events."""
    last: AnswerEnd | None
    """How the answer ends, if it does."""
    words: Words
    """What the upstream said of its failing, to be shown behind the others if it ends so."""


class Intake:
    """Takes one answer's body."""

    def __init__(
        self,
        order: Order,
        max_event: int,
        redact: Callable[[bytes], bytes],
        facts: Facts,
        rest: Rest | None = None,
    ) -> None:
        """``max_event``: bytes of one event; ``facts``: where tokens are counted; ``rest``: what
        comes is the rest of an answer that another upstream began."""
        self._rest = rest
        self.identity = ""
        """What the upstream calls its answer, once that is known."""
        self.begun = False
        """Whether there was an event of the answer."""
        self._api = order.api
        self._hides_usage = order.hide_usage
        self._max_event = max_event
        self._redact = redact
        self._facts = facts
        self._parser = AnswerParser(order.api.grammar, max_event)
        self._malformed = 0

    def only(self, piece: bytes) -> bytes | None:
        """The one ordinary event that ``piece`` is, as nearly all are; None: it is to be fed.

        The first event always is: more is to be learnt from it.
        """
        if not self.begun or self._rest is not None:
            return None
        data = self._parser.take_chunk(piece)
        if data is None:
            return None
        data = self._redact(data)
        return without_null_usage(data) if self._hides_usage else data

    def feed(self, piece: bytes) -> Taken:
        """What the next bytes complete."""
        return self._take(self._parser.feed(piece))

    def finish(self, *, complete: bool) -> Taken:
        """What is left once the body has ended, ``complete`` or cut."""
        return self._take(self._parser.finish(complete))

    def ended(self, how: BodyEnd) -> AnswerEnd:
        """The ending of an answer whose body has ended, and nothing in it said how."""
        match how:
            case BodyEnd.COMPLETE:
                last = self._api.last
                return AnswerEnd(EndingKind.CUT, f"The upstream's answer ended without {last}.")
            case BodyEnd.CUT:
                return AnswerEnd(EndingKind.CUT, "The upstream's connection broke.")
            case BodyEnd.SILENT:
                return AnswerEnd(EndingKind.STALLED, "The upstream sent nothing for too long.")
            case BodyEnd.OVERTIME:
                return AnswerEnd(EndingKind.STALLED, "The upstream took longer than an answer may.")

    def judged(self, end: AnswerEnd) -> AnswerEnd:
        """An ending, in view of what came before it: with malformed chunks none is whole."""
        if self._malformed and end.kind is EndingKind.COMPLETED:
            why = f"The upstream sent malformed chunks: {self._malformed}."
            return AnswerEnd(EndingKind.FAILED, why)
        return end

    def _take(self, records: list[Record]) -> Taken:
        batch: list[tuple[str, bytes]] = []
        for kind, said in records:
            data = self._redact(said)
            if kind is RecordKind.ERROR:
                end = AnswerEnd(EndingKind.FAILED, reported(data), EndingCode.REPORTED)
                return Taken(batch, end, [(DATA, data)])
            last = self._sort(kind, data, batch)
            if last is not None:
                return Taken(batch, last, [])
        return Taken(batch, None, [])

    def _sort(
        self, kind: RecordKind, data: bytes, batch: list[tuple[str, bytes]]
    ) -> AnswerEnd | None:
        """Put one record where it belongs; return the ending that it brings, if any."""
        match kind:
            case RecordKind.CHUNK:
                self._keep(data, batch)
            case RecordKind.LAST:
                self._keep(data, batch)
                return AnswerEnd(EndingKind.COMPLETED)
            case RecordKind.CANCELLED:
                self._keep(data, batch)
                return AnswerEnd(EndingKind.CANCELLED, reported(data), EndingCode.REPORTED)
            case RecordKind.DONE:
                return AnswerEnd(EndingKind.COMPLETED)
            case RecordKind.MALFORMED:
                self._malformed += 1
                batch.append((ERROR, _malformed_event(data)))
            case RecordKind.TOO_LARGE:
                why = f"The upstream sent an event of more than {self._max_event} bytes."
                return AnswerEnd(EndingKind.FAILED, why)
            case RecordKind.TOO_MANY:
                return AnswerEnd(
                    EndingKind.FAILED,
                    f"The upstream sent an event of more than {MAX_VALUES} JSON values in more "
                    f"than {LARGE} bytes.",
                )
        return None

    def _keep(self, data: bytes, batch: list[tuple[str, bytes]]) -> None:
        """An event of the answer, with what is to be learnt from it."""
        if not self.begun:
            self.begun = True
            self.identity = answer_id(self._api, data)
        self._count(usage(self._api, data))
        if self._rest is not None:
            shown = self._rest.chunk(data)
            if shown is not None:
                batch.append((DATA, shown))
            return
        if not self._hides_usage:
            batch.append((DATA, data))
        elif is_usage_only(data):
            batch.append((USAGE, data))
        else:
            batch.append((DATA, without_null_usage(data)))

    def _count(self, used: Usage | None) -> None:
        """The last figure counts: they are of the whole answer until then."""
        if used is None:
            return
        before = self._facts.tokens or Tokens(0, 0)
        self._facts.tokens = Tokens(used.input or before.input, used.output or before.output)


def seam_event(reason: str, upstream: str) -> bytes:
    """The data of an event between what two upstreams said of one answer."""
    return json.dumps({"reason": reason, "upstream": upstream}).encode()


def error_event(code: str, message: str) -> bytes:
    """The data of an event that says what went wrong."""
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def _malformed_event(raw: bytes) -> bytes:
    # Enough to see what came; the rest would be kept for nobody.
    excerpt = raw[:200].decode("utf-8", "replace")
    message = "The upstream sent a chunk that is not a JSON object."
    error = {"code": "malformed_chunk", "message": message, "excerpt": excerpt}
    return json.dumps({"error": error}).encode()
