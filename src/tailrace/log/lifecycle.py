"""What may happen to a stream, and when: one table, no I/O.

A stream is *fed* while a source fills it, *open* while clients append to it, then *closed*,
and *gone* once deleted or expired. Recovery is the one action that nobody asks for: the
process that ran the source died, so the stream ends where its durable events end. A stream
that clients made has lost nobody and stays open.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, TypeAlias

from tailrace.errors import NotFound, StreamHasSource, StreamIsClosed
from tailrace.model import Ending, EndingKind, StreamInfo

# Added to the last durable number of a stream whose source died with its process. Events after
# that one may have been shown without having become durable; no number of theirs is used again,
# and they are fewer than this, because uncommitted events are bounded by memory.
SKIPPED: Final = 2**32


class State(Enum):
    """Where a stream is in its life."""

    FED = auto()
    OPEN = auto()
    CLOSED = auto()
    GONE = auto()


class Action(Enum):
    """What somebody wants to do to it."""

    FEED = auto()
    """Its source appends."""
    END = auto()
    """Its source writes the ending."""
    APPEND = auto()
    """A client appends."""
    CLOSE = auto()
    """A client closes it. On a fed stream this is a wish: the source is told to stop."""
    RECOVER = auto()
    """The store was opened again."""
    DELETE = auto()


_NO_APPEND: Final = "A source fills this stream, so nobody else can append to it."
_CLOSED: Final = "This stream is closed; nothing can be appended to it any more."
_GONE: Final = "There is no such stream any more."

_Refusal = StreamHasSource | StreamIsClosed | NotFound

TABLE: Final[dict[State, dict[Action, State | _Refusal]]] = {
    State.FED: {
        Action.FEED: State.FED,
        Action.END: State.CLOSED,
        Action.APPEND: StreamHasSource(_NO_APPEND),
        Action.CLOSE: State.FED,
        Action.RECOVER: State.CLOSED,
        Action.DELETE: State.GONE,
    },
    State.OPEN: {
        Action.FEED: StreamHasSource("This stream has no source."),
        Action.END: StreamHasSource("This stream has no source."),
        Action.APPEND: State.OPEN,
        Action.CLOSE: State.CLOSED,
        Action.RECOVER: State.OPEN,
        Action.DELETE: State.GONE,
    },
    State.CLOSED: {
        Action.FEED: StreamIsClosed(_CLOSED),
        Action.END: StreamIsClosed(_CLOSED),
        Action.APPEND: StreamIsClosed(_CLOSED),
        Action.CLOSE: State.CLOSED,
        Action.RECOVER: State.CLOSED,
        Action.DELETE: State.GONE,
    },
    State.GONE: dict.fromkeys(Action, NotFound(_GONE)),
}


def after(state: State, action: Action) -> State:
    """The state that ``action`` leads to.

    Raises StreamHasSource, StreamIsClosed or NotFound where it is not allowed.
    """
    outcome = TABLE[state][action]
    if isinstance(outcome, State):
        return outcome
    raise type(outcome)(*outcome.args)


def state_of(info: StreamInfo) -> State:
    """The state of a stream as the store describes it."""
    if info.ending is not None:
        return State.CLOSED
    return State.FED if info.source else State.OPEN


Recover: TypeAlias = Callable[[StreamInfo, int], Ending | None]
"""What becomes of a stream whose source died with its process, at a time in milliseconds since the
epoch: the ending that it gets, or None: its source goes on with it, once it has been started."""

_SOURCE_DIED: Final = "The server stopped while the stream was being filled."


def interrupted(info: StreamInfo, now: int, words: str = _SOURCE_DIED) -> Ending:
    """Return the ending of a stream whose source died with its process, and does not go on."""
    return Ending(
        EndingKind.INTERRUPTED,
        words,
        info.last_seq + SKIPPED,
        now,
    )
