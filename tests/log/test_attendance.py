"""Leaving, waiting, polling, stalling, in all orders: when an answer is stopped for it."""

from __future__ import annotations

import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tailrace.errors import BadRequest
from tailrace.log.attendance import (
    Attendance,
    Disconnect,
    DisconnectPolicy,
    deciding_policy,
    parse_policy,
)

STALL = 30.0
KEEP = 60.0


def attendance(
    disconnect: Disconnect = Disconnect.KEEP, *, known: bool = True, now: float = 0
) -> Attendance:
    made = Attendance(DisconnectPolicy(disconnect, KEEP), stall=STALL, now=now)
    if known:
        made.made_known()
    return made


@pytest.mark.parametrize(
    ("blocked", "left", "expected"),
    [
        ([], 100.0, 160.0),
        ([None], 0.0, math.inf),
        ([10.0], 0.0, 10.0 + 30 + 60),
        ([10.0, None], 0.0, math.inf),
        ([10.0, 50.0], 0.0, 50.0 + 30 + 60),
        ([10.0], 500.0, 560.0),
    ],
)
def test_a_kept_answer(blocked: list[float | None], left: float, expected: float) -> None:
    kept = attendance()
    kept.left(left)
    assert kept.stops_at(blocked) == expected


def test_an_answer_that_nobody_can_find_is_not_kept() -> None:
    """Else each attempt of a client that gives up and asks anew would be paid for."""
    unknown = attendance(known=False)
    unknown.wait()
    unknown.waited(5)
    assert unknown.stops_at([]) == 5


def test_an_answer_that_is_to_be_cancelled_lives_until_somebody_has_come() -> None:
    """Between its beginning and its first viewer there is a moment."""
    fresh = attendance(Disconnect.CANCEL)
    assert math.isinf(fresh.stops_at([]))
    assert fresh.stops_at([None]) == math.inf
    fresh.left(9)
    assert fresh.stops_at([]) == 9


@pytest.mark.parametrize("disconnect", Disconnect)
def test_to_ask_how_an_answer_stands_is_not_to_leave_it(disconnect: Disconnect) -> None:
    """Whoever catches up first, and follows then, does not have it cancelled between."""
    asked = attendance(disconnect)
    asked.opened(7)
    assert asked.stops_at([]) == (7 + KEEP if disconnect is Disconnect.KEEP else math.inf)


def test_an_answer_is_kept_longer_once_somebody_has_opened_its_link() -> None:
    made = Attendance(DisconnectPolicy(Disconnect.KEEP, 1, opened=KEEP), stall=STALL, now=0)
    made.made_known()
    made.left(5)
    assert (made.stops_at([]), made.reason) == (5 + 1, "Nobody watched for 1 second.")
    made.opened(5.5)
    assert (made.stops_at([]), made.reason) == (5.5 + KEEP, "Nobody watched for 60 seconds.")


@pytest.mark.parametrize(
    ("said", "brief", "expected"),
    [
        (("cancel", "detach", "keep=7"), True, DisconnectPolicy(Disconnect.CANCEL)),
        (("", "detach", "keep=7"), True, DisconnectPolicy(Disconnect.DETACH)),
        (("", "", "keep=7"), True, DisconnectPolicy(Disconnect.KEEP, 7)),
        (("", "", "keep"), True, DisconnectPolicy(Disconnect.KEEP, KEEP)),
        (("", "", ""), True, DisconnectPolicy(Disconnect.KEEP, 1, KEEP)),
        (("", "", ""), False, DisconnectPolicy(Disconnect.KEEP, KEEP, KEEP)),
    ],
)
def test_the_first_who_says_what_leaving_means_decides(
    said: tuple[str, ...], brief: bool, expected: DisconnectPolicy
) -> None:
    assert deciding_policy(said, KEEP, brief=brief) == expected


def test_a_brief_time_is_no_longer_than_any_other() -> None:
    assert deciding_policy((), 0.25, brief=True) == DisconnectPolicy(Disconnect.KEEP, 0.25, 0.25)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cancel", DisconnectPolicy(Disconnect.CANCEL)),
        ("detach", DisconnectPolicy(Disconnect.DETACH)),
        ("keep", DisconnectPolicy(Disconnect.KEEP, KEEP)),
        ("keep=30", DisconnectPolicy(Disconnect.KEEP, 30)),
        (" Keep = 5 ", DisconnectPolicy(Disconnect.KEEP, 5)),
        ("keep=0", DisconnectPolicy(Disconnect.KEEP, 0)),
    ],
)
def test_spellings(text: str, expected: DisconnectPolicy) -> None:
    assert parse_policy(text, KEEP) == expected


@pytest.mark.parametrize(
    "text", ["", "stop", "keep=", "keep=-1", "keep=1.5", "keep=1e3", "keep=9999999999", "detach=1"]
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"keep=N"):
        parse_policy(text, KEEP)


class Attending(RuleBasedStateMachine):
    """Clients wait, view, stall, ask and leave, in any order, while a clock goes on.

    The oracle knows of each client when it attended last; an answer may be stopped only if no
    client attends it, and is to be stopped once its policy's time has passed since the last did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.made: Attendance | None = None
        self.policy = DisconnectPolicy(Disconnect.KEEP)
        self.keep = 0.0
        self.waiting = 0
        self.viewers: list[float | None] = []
        self.last = 0.0
        self.anybody = False
        self.known = False

    @precondition(lambda self: self.made is None)
    @rule(
        disconnect=st.sampled_from(Disconnect),
        keep=st.integers(0, 100),
        opened=st.integers(0, 200),
    )
    def begin(self, disconnect: Disconnect, keep: int, opened: int) -> None:
        keeps = disconnect is Disconnect.KEEP
        self.policy = (
            DisconnectPolicy(disconnect, keep, opened) if keeps else DisconnectPolicy(disconnect)
        )
        self.keep = float(self.policy.keep)
        self.made = Attendance(self.policy, stall=STALL, now=self.now)
        self.last = self.now

    @rule(seconds=st.integers(1, 100))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.made)
    @rule()
    def ask(self) -> None:
        assert self.made
        self.made.wait()
        self.waiting += 1
        self.anybody = True

    @precondition(lambda self: self.waiting)
    @rule(to_view=st.booleans())
    def waited(self, to_view: bool) -> None:
        assert self.made
        if to_view:
            self.made.made_known()
            self.known = True
            self.viewers.append(None)
        self.made.waited(self.now)
        self.waiting -= 1
        self.last = self.now

    @precondition(lambda self: self.made)
    @rule()
    def be_told_at_once(self) -> None:
        """A client that does not wait."""
        assert self.made
        self.made.made_known()
        self.known = True

    @precondition(lambda self: self.made)
    @rule()
    def ask_how_it_stands(self) -> None:
        """Of the link that it takes the server's list knows, too."""
        assert self.made
        self.made.opened(self.now)
        self.known = True
        self.keep = max(self.keep, self.policy.opened)
        self.last = self.now

    @precondition(lambda self: self.known)
    @rule()
    def come_to_view(self) -> None:
        self.viewers.append(None)
        self.anybody = True

    @precondition(lambda self: self.viewers)
    @rule(data=st.data())
    def stall_or_recover(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.viewers) - 1))
        self.viewers[number] = self.now if self.viewers[number] is None else None

    @precondition(lambda self: self.viewers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        assert self.made
        self.viewers.pop(data.draw(st.integers(0, len(self.viewers) - 1)))
        self.made.left(self.now)
        self.last = self.now

    @invariant()
    def nobody_is_robbed_of_what_they_attend(self) -> None:
        if self.made is None:
            return
        at = self.made.stops_at(self.viewers)
        if self.waiting or None in self.viewers or self.policy.disconnect is Disconnect.DETACH:
            assert math.isinf(at)
        elif any(since is not None and since + STALL > self.now for since in self.viewers):
            assert at > self.now

    @invariant()
    def nobody_pays_for_what_nobody_attends(self) -> None:
        if self.made is None or self.waiting or None in self.viewers:
            return
        keeps = self.known and self.policy.disconnect is Disconnect.KEEP
        if self.policy.disconnect is Disconnect.DETACH or not (self.anybody or keeps):
            return
        last = max([self.last, *(since + STALL for since in self.viewers if since is not None)])
        assert self.made.stops_at(self.viewers) == last + (self.keep if self.known else 0)


TestAttending = Attending.TestCase
