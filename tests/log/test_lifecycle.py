"""The state table, looked at as a whole."""

from __future__ import annotations

import pytest

from tailrace.errors import NotFound, StreamHasSource, StreamIsClosed, TailraceError
from tailrace.log.lifecycle import TABLE, Action, State, after, state_of
from tailrace.model import Ending, EndingKind, StreamInfo

INFO = StreamInfo("chat/x", "g", "application/json", 0)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", Action)
def test_every_action_is_decided_in_every_state(state: State, action: Action) -> None:
    try:
        outcome = after(state, action)
    except TailraceError as refusal:
        assert str(refusal)
    else:
        assert isinstance(outcome, State)
    assert set(TABLE[state]) == set(Action)


def test_nobody_but_its_source_appends_to_a_fed_stream() -> None:
    with pytest.raises(StreamHasSource):
        after(State.FED, Action.APPEND)


def test_closing_a_fed_stream_is_a_wish_that_its_source_fulfils() -> None:
    assert after(State.FED, Action.CLOSE) is State.FED
    assert after(State.FED, Action.END) is State.CLOSED


def test_a_stream_has_one_ending() -> None:
    for action in (Action.END, Action.FEED, Action.APPEND):
        with pytest.raises(StreamIsClosed):
            after(State.CLOSED, action)


def test_closing_twice_is_no_error() -> None:
    assert after(State.CLOSED, Action.CLOSE) is State.CLOSED


def test_only_a_stream_whose_source_died_ends_by_recovery() -> None:
    assert after(State.FED, Action.RECOVER) is State.CLOSED
    assert after(State.OPEN, Action.RECOVER) is State.OPEN


@pytest.mark.parametrize("action", Action)
def test_nothing_happens_to_a_stream_that_is_gone(action: Action) -> None:
    with pytest.raises(NotFound):
        after(State.GONE, action)


def test_a_refusal_is_a_new_error_each_time() -> None:
    caught = []
    for _ in range(2):
        with pytest.raises(StreamIsClosed) as info:
            after(State.CLOSED, Action.APPEND)
        caught.append(info.value)
    assert caught[0] is not caught[1]


def test_the_state_follows_from_what_the_store_knows() -> None:
    assert state_of(INFO) is State.OPEN
    assert state_of(StreamInfo("n", "g", "t", 0, source="relay")) is State.FED
    assert state_of(INFO.ended(Ending(EndingKind.CUT, "", 1, 0))) is State.CLOSED
