"""What is to be known of one answer's life: who gave it, when its tokens came, how many."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

# More than any model's name has; what a client sends in its place may be a book.
LONGEST_NAME: Final = 200


class Tokens(NamedTuple):
    """Tokens of one answer."""

    input: int
    output: int
    estimated: bool = False
    """Counted by us, roughly, because the upstream did not come to say."""


class Facts:
    """Gathered while an answer runs. Times are seconds of one clock."""

    __slots__ = (
        "api", "asked_at", "attempts", "ended_at", "events", "first_at", "identity", "model",
        "seams", "tokens", "upstream", "viewers",
    )  # fmt: skip

    def __init__(self, api: str, model: str, asked_at: float) -> None:
        self.api = api
        self.model = model[:LONGEST_NAME]
        """As the client asked for it; empty where it named none."""
        self.identity = ""
        """What the upstream calls its answer."""
        self.asked_at = asked_at
        self.first_at: float | None = None
        """When the first event of the answer came."""
        self.ended_at: float | None = None
        self.upstream = ""
        """The name of the upstream that was asked last."""
        self.attempts = 0
        """Requests sent to upstreams."""
        self.events = 0
        self.seams = 0
        """How often another upstream went on with it."""
        self.viewers = 0
        """How often somebody came to view it."""
        self.tokens: Tokens | None = None

    @property
    def first_token(self) -> float | None:
        """Seconds from the question to the first event."""
        return None if self.first_at is None else self.first_at - self.asked_at

    @property
    def between_tokens(self) -> float | None:
        """Seconds from one event to the next, on the average."""
        if self.first_at is None or self.ended_at is None or self.events < 2:
            return None
        return (self.ended_at - self.first_at) / (self.events - 1)

    def ended(self, at: float, events: int, viewers: int) -> None:
        """Note what is known once the stream has its ending."""
        self.ended_at = at
        self.events = events
        self.viewers = viewers

    def as_json(self) -> dict[str, Any]:
        """For the stream's note and for the log; nothing of what was asked or answered."""
        tokens = self.tokens
        return {
            "api": self.api,
            "model": self.model,
            "upstream": self.upstream,
            "attempts": self.attempts,
            "seams": self.seams,
            "first_token": _rounded(self.first_token),
            "between_tokens": _rounded(self.between_tokens),
            "tokens": None if tokens is None else tokens._asdict(),
            "viewers": self.viewers,
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
