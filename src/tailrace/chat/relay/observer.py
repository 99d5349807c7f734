"""Who hears of an answer's life, and what they see of it."""

from __future__ import annotations

from typing import Protocol

from tailrace.chat.relay.answer_stats import Facts
from tailrace.chat.relay.relay_request import Order
from tailrace.log.stream import Stream


class ObservedAnswer(Protocol):
    """What an observer sees of an answer."""

    @property
    def stream(self) -> Stream:
        """The stream that it becomes."""
        ...

    @property
    def order(self) -> Order:
        """What was asked for."""
        ...

    @property
    def facts(self) -> Facts:
        """The answer's figures so far; they are complete once it has ended."""
        ...


class Listener(Protocol):
    """Keeps what becomes known of answers."""

    def named(self, answer: ObservedAnswer, identity: str) -> None:
        """The upstream calls its answer by the id ``identity``."""
        ...

    def ended(self, answer: ObservedAnswer) -> None:
        """The stream has its ending, ``answer.facts`` are complete."""
        ...
