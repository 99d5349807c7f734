"""Which batch of an idempotent producer is new, and which is a retry. No I/O.

The Durable Streams protocol (5.2.1) numbers a producer's batches per epoch, from 0 on:

    the batch's epoch     its number              is
    --------------------  ----------------------  ----------------------------------
    unknown producer      0                       new
    unknown producer      more                    ahead of what it follows (409)
    later than known      0                       new, and fences the earlier epochs
    later than known      more                    malformed (400)
    as known              not above the last      a retry: it is there already
    as known              the last + 1            new
    as known              more                    ahead of what it follows (409)
    earlier than known    any                     fenced (403)
"""

from __future__ import annotations

from typing import NamedTuple

from tailrace.errors import BadRequest, ProducerFenced, ProducerGap
from tailrace.model import Producer


class Claim(NamedTuple):
    """What a request says of its producer."""

    id: str
    epoch: int
    seq: int


def is_retry(known: Producer | None, claim: Claim) -> bool:
    """Whether the stream has this batch already.

    Raises ProducerFenced, ProducerGap, or BadRequest for an epoch that does not begin at 0.
    """
    if known is None:
        return _is_new_from(0, claim)
    if claim.epoch < known.epoch:
        raise ProducerFenced(known.epoch)
    if claim.epoch > known.epoch:
        if claim.seq != 0:
            raise BadRequest("A producer's new epoch begins with Producer-Seq 0.")
        return False
    return claim.seq <= known.seq or _is_new_from(known.seq + 1, claim)


def _is_new_from(expected: int, claim: Claim) -> bool:
    if claim.seq != expected:
        raise ProducerGap(expected, claim.seq)
    return False


def closed_by(known: Producer | None, claim: Claim) -> bool:
    """Whether this very batch closed the stream."""
    return known is not None and known == Producer(claim.id, claim.epoch, claim.seq, closed=True)
