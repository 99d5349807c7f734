"""Time alone ends an answer: nobody attends it, or nothing of it comes."""

from __future__ import annotations

import pytest

from tailrace.chat.relay.answer_deadlines import AnswerDeadlines
from tailrace.chat.relay.answer_parser import AnswerEnd
from tailrace.chat.relay.relay_request import RelayLimits
from tailrace.log.attendance import Attendance, Disconnect, DisconnectPolicy
from tailrace.model import EndingKind

LIMITS = RelayLimits(max_event=1000, stall=30.0, content=80.0)


@pytest.fixture
def attendance() -> Attendance:
    return Attendance(DisconnectPolicy(Disconnect.CANCEL), stall=LIMITS.stall, now=0.0)


@pytest.fixture
def deadlines(attendance: Attendance) -> AnswerDeadlines:
    return AnswerDeadlines(attendance, LIMITS, 0.0)


def test_it_is_looked_at_several_times_within_each_of_its_times(
    deadlines: AnswerDeadlines,
) -> None:
    assert deadlines.look_at == 10.0
    assert deadlines.look(10.0, 1, [None], reads=True) is None
    assert deadlines.look_at == 20.0


def test_an_answer_that_everybody_left_is_cancelled(
    attendance: Attendance, deadlines: AnswerDeadlines
) -> None:
    attendance.left(3.0)
    ending = deadlines.look(3.0, 1, [], reads=True)
    assert ending == AnswerEnd(EndingKind.CANCELLED, "Everybody left.")


def test_an_answer_of_which_nothing_comes_is_stalled(deadlines: AnswerDeadlines) -> None:
    for now in range(10, 80, 10):
        assert deadlines.look(float(now), 0, [None], reads=True) is None
    ending = deadlines.look(80.0, 0, [None], reads=True)
    assert ending is not None
    assert ending[0] is EndingKind.STALLED


def test_a_viewer_that_takes_nothing_is_looked_at_when_its_time_is_over(
    deadlines: AnswerDeadlines,
) -> None:
    assert deadlines.look(10.0, 1, [-15.0], reads=True) is None
    assert deadlines.look_at == 15.0


def test_a_look_that_comes_late_ends_nothing_before_what_waits_was_read(
    deadlines: AnswerDeadlines,
) -> None:
    assert deadlines.look(90.0, 0, [None], reads=True) is None
    soon = deadlines.look_at
    assert soon > 90.0
    assert deadlines.look(soon, 0, [None], reads=True) is None
