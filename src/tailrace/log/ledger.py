"""What a stream remembers of those who append to it, and whom it therefore refuses.

Loaded from the store when the first writer comes who needs it. From then on each accepted append
is entered here at once, before it is durable: what follows it in this process follows it in the
store, too.
"""

from __future__ import annotations

from typing import NamedTuple

from tailrace.contracts import Store
from tailrace.errors import StreamHasSource, StreamIsClosed, TooMany, WriterSeqConflict
from tailrace.log.lifecycle import Action, State, after
from tailrace.log.producers import Claim, closed_by, is_retry
from tailrace.model import Offset, Producer


class Appended(NamedTuple):
    """What became of an append."""

    duplicate: bool
    """It was a retry, or closed what was closed: nothing was added."""
    producer: Producer | None
    """How far its producer has come, if it named one."""
    tail: Offset
    """The place after the stream's last event."""


class AppendWish(NamedTuple):
    """What a client asks of a stream in one append."""

    empty: bool
    """It brings no events."""
    close: bool
    claim: Claim | None
    """What it says of its producer."""
    writer_seq: str
    """Its ``Stream-Seq``; empty: none."""


class Ledger:
    """One stream's producers and its last ``Stream-Seq``."""

    def __init__(self) -> None:
        self._loaded = False
        self._writer_seq = ""
        self._producers: dict[str, Producer] = {}

    async def load(self, store: Store, generation: str) -> None:
        """Have it as the store has it. Raises NotFound or StoreUnavailable."""
        if self._loaded:
            return
        found = await store.writers(generation)
        if self._loaded:  # another append was faster, and has gone on since
            return
        self._loaded = True
        self._writer_seq = found.writer_seq
        self._producers = {producer.id: producer for producer in found.producers}

    def enter(self, producer: Producer | None, writer_seq: str) -> None:
        """An append was given to the store."""
        if producer is not None:
            self._producers[producer.id] = producer
        self._writer_seq = writer_seq or self._writer_seq

    def judge(self, state: State, wish: AppendWish, most: int) -> Producer | None:
        """Return the producer's state, if it has sent this before; None: it may be appended.

        Raises StreamIsClosed, StreamHasSource, NotFound, ProducerFenced, ProducerGap, BadRequest,
        WriterSeqConflict, or TooMany where the stream has ``most`` producers already.
        """
        if state is State.CLOSED and wish.claim is not None:
            return self._retry_of_close(wish.claim)
        if state is State.FED and wish.close:
            raise StreamHasSource("A source fills this stream; stop it in order to close it.")
        after(state, Action.CLOSE if wish.close and wish.empty else Action.APPEND)
        return self._retry(wish.claim, wish.writer_seq, most)

    def _retry(self, claim: Claim | None, writer_seq: str, most: int) -> Producer | None:
        known = self._producers.get(claim.id) if claim else None
        if claim is not None and is_retry(known, claim):
            return known
        if writer_seq and writer_seq <= self._writer_seq:
            raise WriterSeqConflict("Stream-Seq must be greater than that of the last append.")
        if claim is not None and known is None and len(self._producers) >= most:
            raise TooMany(
                "This stream has as many producers as it may; use one of their ids again, with "
                "a later epoch, or another stream."
            )
        return None

    def _retry_of_close(self, claim: Claim) -> Producer:
        """The state of the producer whose very batch closed the stream.

        Raises StreamIsClosed for any other, ProducerFenced for one of an earlier epoch.
        """
        known = self._producers.get(claim.id)
        if known is not None and closed_by(known, claim):
            return known
        if known is not None and claim.epoch < known.epoch:
            is_retry(known, claim)  # raises what is more useful to a fenced one
        raise StreamIsClosed("This stream is closed; nothing can be appended to it any more.")
