"""Observers: each is told what it can hear, and none can do harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailrace.contracts import DoneCommit, EndedRequest, Observers
from tailrace.web.access_log import AccessLog

REQUEST = EndedRequest("GET", "/", 200, 0, 0.1, left=False, aborted=False)
COMMIT = DoneCommit(changes=3, seconds=0.01)


class Listener:
    """Hears of all there is, and notes it."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def request_ended(self, request: EndedRequest) -> None:
        self.heard.append(request)

    def source_ended(self, kind: str, facts: Mapping[str, Any]) -> None:
        self.heard.append((kind, facts))

    def commit_done(self, commit: DoneCommit) -> None:
        self.heard.append(commit)


class Faulty(Listener):
    """Fails whatever it hears."""

    def request_ended(self, request: EndedRequest) -> None:
        raise RuntimeError(request.route)

    def commit_done(self, commit: DoneCommit) -> None:
        raise RuntimeError(str(commit.changes))


def test_where_nobody_hears_of_commits_there_is_nobody_to_tell() -> None:
    assert Observers().on_commit is None
    assert Observers(AccessLog(list[str]().append)).on_commit is None


def test_all_who_hear_of_commits_are_told_of_each() -> None:
    one, other = Listener(), Listener()
    tell = Observers(one, AccessLog(list[str]().append), other).on_commit
    assert tell is not None
    tell(COMMIT)
    assert one.heard == other.heard == [COMMIT]


def test_an_observer_that_fails_keeps_nothing_from_the_others() -> None:
    last = Listener()
    observers = Observers(Faulty(), last)
    observers.request_ended(REQUEST)
    observers.source_ended("answer", {"ending": "completed"})
    assert observers.on_commit is not None
    observers.on_commit(COMMIT)
    assert last.heard == [REQUEST, ("answer", {"ending": "completed"}), COMMIT]
