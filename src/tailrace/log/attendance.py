"""Whether an answer goes on, decided from who attends it, a policy and a clock.

Leaving is not stopping; what leaving means is the policy's to say:

    policy      the answer is stopped
    ----------  ---------------------------------------------------------------------------
    cancel      as soon as the last of those who attended it has left
    keep = N    once nobody has attended it for N seconds; without N: ``unwatched_timeout``
    detach      never for want of attendance

The first of these that says a policy decides (``deciding_policy``):

    who                                                says
    -------------------------------------------------  ------------------------------------
    the request, in ``Tailrace-Disconnect``            what it likes
    the table of the upstream that answers             its ``disconnect``, where it has one
    the setting ``disconnect``                         what it is, where it is set
    nobody: ``/stream``                                ``keep``
    nobody: ``/v1``, by who can come back              ``keep``
    nobody: ``/v1``, by anybody else                   ``keep=1``, until somebody opens the
                                                       answer's link or asks for it by its id;
                                                       from then on ``keep``

A client of ``/v1`` can come back that sends an ``Idempotency-Key`` or ``Prefer: respond-async``. To
any other, an SDK, closing the connection is the way to stop an answer: without this a model that
has one slot would go on for nobody, and the next request would wait for it. An answer of
``background`` is ``detach``, whoever says otherwise.

Who attends: a viewer, which is a cursor, as long as its sink took something within ``stall``
seconds; a client that waits for the answer's beginning; and, for a moment, whoever asks how it
stands. Before anybody was told where the answer can be found again, nobody could come back to it,
and ``keep`` is as ``cancel``: a client that gives up and asks anew would have each attempt paid
for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from tailrace.errors import BadRequest

BRIEFLY: Final = 1.0
"""Seconds: a page that is loaded anew has opened the link by then, and a slot is free soon."""


class Disconnect(StrEnum):
    """What it means for an answer that everybody has left."""

    CANCEL = "cancel"
    KEEP = "keep"
    DETACH = "detach"


class DisconnectPolicy(NamedTuple):
    """A policy with its time."""

    disconnect: Disconnect
    keep: float = 0.0
    """Seconds; of ``keep`` alone."""
    opened: float = 0.0
    """As ``keep``, once somebody has opened the answer's link; 0: it makes no difference."""


def deciding_policy(said: Iterable[str], keep: float, *, brief: bool) -> DisconnectPolicy:
    """Return the policy of the first text in ``said`` that is not empty, else the default.

    ``keep``: the seconds of a plain ``keep``; ``brief``: the default is that of a client which
    cannot come back. Raises BadRequest for a text that is no policy.
    """
    for text in said:
        if text:
            return parse_policy(text, keep)
    return DisconnectPolicy(Disconnect.KEEP, min(BRIEFLY, keep) if brief else keep, opened=keep)


def parse_policy(text: str, keep: float) -> DisconnectPolicy:
    """``cancel``, ``detach``, ``keep`` (for ``keep`` seconds) or ``keep=30``.

    Raises BadRequest.
    """
    word, equals, seconds = text.partition("=")
    word = word.strip().lower()
    if word == Disconnect.KEEP and equals:
        digits = seconds.strip()
        if digits.isascii() and digits.isdigit() and len(digits) <= 9:  # some thirty years
            return DisconnectPolicy(Disconnect.KEEP, float(digits))
    elif word in list(Disconnect) and not equals:
        return DisconnectPolicy(Disconnect(word), keep if word == Disconnect.KEEP else 0.0)
    raise BadRequest(
        "What leaving means is 'cancel', 'keep', 'keep=N' with N whole seconds, or 'detach'."
    )


class Attendance:
    """Who attends one answer. Times are seconds of one clock."""

    __slots__ = ("_attended", "_last", "_stall", "_waiting", "known", "policy")

    def __init__(self, policy: DisconnectPolicy, *, stall: float, now: float) -> None:
        self.policy = policy
        self._stall = stall
        self._last = now
        self._waiting = 0
        self._attended = False
        self.known = False
        """Whether somebody was told where the answer can be found."""

    def wait(self) -> None:
        """A client waits for the answer's beginning."""
        self._waiting += 1
        self._attended = True

    def waited(self, now: float) -> None:
        """It does so no more: it has become a viewer, or left."""
        self._waiting -= 1
        self._last = max(self._last, now)

    def opened(self, now: float) -> None:
        """Somebody reads the answer by its link, or asks how it stands, and may do so again.

        Who comes to view it becomes a viewer besides. To ask is not to leave: ``cancel`` waits
        for a viewer to do that.
        """
        self.known = True
        self._last = max(self._last, now)
        policy = self.policy
        if policy.opened > policy.keep:
            self.policy = DisconnectPolicy(policy.disconnect, policy.opened)

    def made_known(self) -> None:
        """Somebody was told where the answer can be found."""
        self.known = True

    def left(self, now: float) -> None:
        """A viewer left."""
        self._attended = True
        self._last = max(self._last, now)

    @property
    def reason(self) -> str:
        """Why it is stopped, for a person."""
        if self.policy.disconnect is Disconnect.KEEP and self.known:
            plural = "" if self.policy.keep == 1 else "s"
            return f"Nobody watched for {self.policy.keep:g} second{plural}."
        return "Everybody left."

    def stops_at(self, blocked: Iterable[float | None]) -> float:
        """When the answer is to be stopped if nothing changes; infinity: not for now.

        ``blocked``: for each viewer, since when its sink takes nothing, or None where it does.
        """
        policy = self.policy
        if self._waiting or policy.disconnect is Disconnect.DETACH:
            return math.inf
        last, attended = self._last, self._attended
        for since in blocked:
            if since is None:
                return math.inf
            attended = True
            last = max(last, since + self._stall)
        if policy.disconnect is Disconnect.CANCEL or not self.known:
            return last if attended else math.inf
        return last + policy.keep
