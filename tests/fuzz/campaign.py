"""Runs the cases of a fuzzer until a number of them or a time is over.

Case ``n`` of a fuzzer is made from the seed, the fuzzer's name and ``n`` alone, so that one case
can be run without those before it. A case that fails is made smaller as long as the smaller one
fails in the same way, and is then reported with all that is needed to run it again.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

SEED: Final = "TAILRACE_SEED"
# A shrunk input is for a person to read; a smaller one after half a minute is rarely worth it.
SHRINK_SECONDS: Final = 30.0
PROGRESS_SECONDS: Final = 10.0

Case = TypeVar("Case")


class Finding(AssertionError):
    """A rule that a case broke. ``kind`` names the rule; the message has the details."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


class Fuzzer(Protocol[Case]):
    """What is generated, and what must hold for it."""

    name: str

    def make(self, dice: random.Random) -> Case:
        """Generate a case. Does no I/O: equal dice make equal cases."""

    def check(self, case: Case) -> None:
        """Raise Finding if the case breaks a rule."""

    def smaller(self, case: Case) -> Iterator[Case]:
        """Yield simpler cases, the most simplified ones first."""

    def show(self, case: Case) -> str:
        """Describe a case so that a person can play it by hand."""

    def renew(self) -> None:
        """Start what is tested anew if a finding has left it unwell."""

    def statistics(self) -> str:
        """Say in a few words what the cases so far led to."""


@dataclass
class Outcome:
    """What came of a campaign."""

    seed: int
    cases: int = 0
    reports: list[str] = field(default_factory=list)


def chosen_seed() -> int:
    """The seed in TAILRACE_SEED, or a random one."""
    return int(os.environ.get(SEED) or random.randrange(1 << 32))


def dice_of(seed: int, name: str, number: int) -> random.Random:
    """The random numbers of one case."""
    return random.Random(f"{seed} {name} {number}")


@dataclass
class Campaign(Generic[Case]):
    """Runs one fuzzer.

    ``cases`` and ``seconds`` bound the run, whichever is reached first. ``only`` runs the case
    of that number and no other. ``keep_going`` goes on after a finding, and reports the first of
    each kind.
    """

    fuzzer: Fuzzer[Case]
    seed: int
    cases: int | None = None
    seconds: float | None = None
    only: int | None = None
    keep_going: bool = False
    say: Callable[[str], None] = print

    def run(self) -> Outcome:
        """Run, and print progress and findings with ``say``."""
        name, outcome, kinds = self.fuzzer.name, Outcome(self.seed), set[str]()
        self.say(f"{name}: {SEED}={self.seed}")
        begun = said = time.monotonic()
        number = self.only or 0
        while not self._is_over(outcome, time.monotonic() - begun):
            case = self.fuzzer.make(dice_of(self.seed, name, number))
            try:
                self.fuzzer.check(case)
            except Finding as finding:
                self.fuzzer.renew()
                if finding.kind not in kinds:
                    kinds.add(finding.kind)
                    outcome.reports.append(self._report(number, case, finding))
                    self.say(outcome.reports[-1])
                if not self.keep_going:
                    break
            outcome.cases += 1
            number += 1
            now = time.monotonic()
            if now - said > PROGRESS_SECONDS:
                said = now
                self.say(self._progress(outcome, now - begun))
        self.say(self._progress(outcome, time.monotonic() - begun))
        return outcome

    def _is_over(self, outcome: Outcome, seconds: float) -> bool:
        if self.only is not None:
            return outcome.cases > 0
        if self.cases is not None and outcome.cases >= self.cases:
            return True
        return self.seconds is not None and seconds >= self.seconds

    def _progress(self, outcome: Outcome, seconds: float) -> str:
        return (
            f"{self.fuzzer.name}: {seconds:.0f} s, {outcome.cases} cases, "
            f"{len(outcome.reports)} findings ({self.fuzzer.statistics()})"
        )

    def _report(self, number: int, case: Case, finding: Finding) -> str:
        name = self.fuzzer.name
        small, last = self._shrunk(case, finding)
        return (
            f"{name}: FINDING in case {number}: {last}\n"
            f"  again: {SEED}={self.seed} python -m tests.fuzz {name} --case {number}\n"
            f"  the smallest input that does it:\n{self.fuzzer.show(small)}"
        )

    def _shrunk(self, case: Case, finding: Finding) -> tuple[Case, Finding]:
        """The smallest case found that breaks the same rule."""
        deadline = time.monotonic() + SHRINK_SECONDS
        smaller = self.fuzzer.smaller(case)
        while time.monotonic() < deadline:
            candidate = next(smaller, None)
            if candidate is None:
                break
            try:
                self.fuzzer.check(candidate)
            except Finding as again:
                self.fuzzer.renew()
                if again.kind == finding.kind:
                    case, finding = candidate, again
                    smaller = self.fuzzer.smaller(case)
        return case, finding


def shorter(data: bytes) -> Iterator[bytes]:
    """Yield ``data`` without one part, large parts first."""
    size = len(data)
    part = max(1, size // 2)
    while size:
        for at in range(0, size, part):
            yield data[:at] + data[at + part :]
        if part == 1:
            return
        part = max(1, part // 2)


def fewer(items: tuple[Case, ...]) -> Iterator[tuple[Case, ...]]:
    """Yield ``items`` without one of them."""
    for at in range(len(items)):
        yield items[:at] + items[at + 1 :]


Opener = Callable[[], AbstractContextManager[Fuzzer[Any]]]
"""Starts what a fuzzer runs against, and ends it afterwards."""
