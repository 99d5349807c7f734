"""The article's server, in Go, and Tailrace in front of the same upstream: the same answer.

Where an answer ends with ``[DONE]`` both give one status, the article's three headers and one
body, byte for byte. Every exception is in a table below, with what each of the two gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import pytest

from tailrace.testing.recorded import RECORDED, Recording, recorded_scripts
from tailrace.testing.threaded import ThreadedUpstream
from tests.article.runner import running_article
from tests.e2e.harness import Address, Body, Server, Viewer, get, serving

_KEY: Final = "article-token"
_HEADERS: Final = ("content-type", "cache-control", "connection")


class _Place(NamedTuple):
    host: str
    port: int


class _Both(NamedTuple):
    article: Address
    tailrace: Server
    upstream: ThreadedUpstream


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Both]:
    with (
        ThreadedUpstream(scripts=recorded_scripts()) as upstream,
        running_article(upstream.base_url, _KEY) as url,
        serving(
            upstream.base_url,
            tmp_path_factory.mktemp("parity"),
            "--model",
            "gpt-3.5-turbo",
            # Which the article's server does not ask for.
            "--ask-usage",
            "false",
            env={"TAILRACE_UPSTREAM_API_KEY": _KEY},
        ) as server,
    ):
        where = urlsplit(url)
        assert where.hostname and where.port
        yield _Both(_Place(where.hostname, where.port), server, upstream)


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Body

    @property
    def shown(self) -> tuple[int, list[str | None], bytes]:
        """What the article's contract speaks of."""
        return self.status, [self.headers.get(name) for name in _HEADERS], self.body.data


def _ask(server: Address, query: str) -> _Answer:
    with get(server, f"/stream?{query}") as viewer:
        return _Answer(viewer.status, viewer.fields, viewer.rest())


def _ending(server: Server, answer: _Answer) -> str:
    with Viewer(server, "HEAD", answer.headers["content-location"]) as viewer:
        return viewer.head().fields["stream-ending"]


# A chunk that is no JSON object: both leave it out and show the rest, but an answer that lost a
# chunk is not whole, and Tailrace does not end it as if it were.
LOST_A_CHUNK: Final = frozenset(
    {
        "raw-control",
        "bad-escape",
        "top-level-types",
        "malformed",
        "malformed-numbers",
        "deep-nesting",
    }
)


class _Readings(NamedTuple):
    """What two honest readers of one body make of it."""

    article: bytes
    tailrace: bytes
    ending: str


# Bodies in which lines and events are not the same. The article's server takes what stands
# between two LFs, with or without ``data: `` before it; Tailrace reads the grammar of event
# streams, as browsers and SDKs do.
OTHER_LINES: Final = {
    "bom": _Readings(b"second", b"first second", "completed"),
    "no-space": _Readings(b"", b"One day, a fox came.", "completed"),
    "no-blank-lines": _Readings(b"One day, a fox came.", b"", "cut"),
    "two-data-lines": _Readings(b"before after", b"before joinedafter", "completed"),
    "bare-json-line": _Readings(b"before no field nameafter", b"before after", "completed"),
    "bare-done": _Readings(b"One day, a fox came.", b"One day, a fox came.", "cut"),
    "done-without-space": _Readings(b"One day, a fox came.", b"One day, a fox came.", "completed"),
    "cr-only": _Readings(b"", b"One day, a fox came.", "completed"),
}

# Answers without [DONE]. The article's server ends them as if they were whole, or in words of
# its own where the connection broke; Tailrace leaves out the last HTTP chunk.
NOT_DONE: Final = {
    "cut": _Readings(b"halfScanner error\n", b"half", "cut"),
    "cut-in-event": _Readings(b"halfScanner error\n", b"half", "cut"),
    "clean-end": _Readings(b"half", b"half", "cut"),
    "clean-end-in-event": _Readings(b"half", b"half", "cut"),
    "clean-end-in-character": _Readings(b"", b"", "cut"),
    "finish-without-done": _Readings(b"all", b"all", "cut"),
    "error-object": _Readings(b"half", b"half", "failed"),
    "empty": _Readings(b"", b"", "cut"),
    "comments-only": _Readings(b"", b"", "cut"),
    "html": _Readings(b"", b"", "cut"),
}


def _names(*, ends_done: bool, strict_lines: bool) -> set[str]:
    def wanted(recording: Recording) -> bool:
        return (recording.ends_done, recording.strict_lines) == (ends_done, strict_lines)

    return {name for name, recording in RECORDED.items() if wanted(recording)}


_STRICT: Final = _names(ends_done=True, strict_lines=True)


def test_every_recording_is_compared_and_every_exception_is_one() -> None:
    assert len(_STRICT) > 60
    assert _STRICT > LOST_A_CHUNK
    assert OTHER_LINES.keys() == _names(ends_done=True, strict_lines=False)
    assert NOT_DONE.keys() == _names(ends_done=False, strict_lines=True)
    assert not _names(ends_done=False, strict_lines=False)


@pytest.mark.parametrize("name", sorted(_STRICT - LOST_A_CHUNK))
def test_an_answer_that_ends_with_done_is_the_articles_byte_for_byte(
    both: _Both, name: str
) -> None:
    article, ours = (_ask(server, f"content=script:{name}") for server in both[:2])
    assert article.shown == ours.shown
    assert article.status == 200
    assert all(article.headers.get(header) for header in _HEADERS)
    assert (article.body.whole, ours.body.whole) == (True, True)
    assert "content-location" in ours.headers.keys() - article.headers.keys()
    assert _ending(both.tailrace, ours) == "completed"


@pytest.mark.parametrize("name", sorted(LOST_A_CHUNK))
def test_an_answer_that_lost_a_chunk_has_the_articles_bytes_but_not_its_clean_end(
    both: _Both, name: str
) -> None:
    article, ours = (_ask(server, f"content=script:{name}") for server in both[:2])
    assert article.shown == ours.shown
    assert (article.body.whole, ours.body.whole) == (True, False)
    assert _ending(both.tailrace, ours) == "failed"


@pytest.mark.parametrize("name", sorted(OTHER_LINES))
def test_where_lines_and_events_differ_each_reads_what_the_table_says(
    both: _Both, name: str
) -> None:
    _compare(both, name, OTHER_LINES[name])


@pytest.mark.parametrize("name", sorted(NOT_DONE))
def test_an_answer_without_done_ends_well_in_the_article_and_is_cut_here(
    both: _Both, name: str
) -> None:
    _compare(both, name, NOT_DONE[name])
    assert NOT_DONE[name].ending != "completed"


def _compare(both: _Both, name: str, expected: _Readings) -> None:
    article, ours = (_ask(server, f"content=script:{name}") for server in both[:2])
    ending = _ending(both.tailrace, ours)
    assert _Readings(article.body.data, ours.body.data, ending) == expected
    assert (article.body.whole, ours.body.whole) == (True, ending == "completed")
    # Whatever came, it came with the same status and the same three headers.
    assert article.shown[:2] == ours.shown[:2]


@pytest.mark.parametrize(
    "query",
    [
        "content=Hello",
        "content=Hello%20world&content=not%20this",
        "content=a+b%2Bc&other=1",
        "content=Gr%C3%B6%C3%9Fe%20%E6%B0%B4%20%F0%9F%8C%8A",
        "content=%22quoted%22%20%5C%20%0A%0D%09%00%1F%7F",
        "content=%3Cb%3E%26%3C/b%3E%20%E2%80%A8",
        "content=a%FFb%ED%A0%BD%E4%BD",
        "content=%EF%BB%BFmarked",
        "content=%zz&content=second",
        "a;content=lost&content=kept",
    ],
)
def test_the_upstream_is_asked_the_same(both: _Both, query: str) -> None:
    before = len(both.upstream.requests)
    article, ours = (_ask(server, query) for server in both[:2])
    first, second = both.upstream.requests[before:]
    assert first.json() == second.json()
    assert (first.method, first.target) == (second.method, second.target)
    assert first.header("content-type") == second.header("content-type") == "application/json"
    assert first.header("authorization") == second.header("authorization") == f"Bearer {_KEY}"
    assert article.shown == ours.shown
    assert article.status == 200


@pytest.mark.parametrize(
    "query", ["", "content", "content=", "content=%zz", "content=a;b", "Content=x"]
)
def test_without_a_prompt_both_refuse_and_ask_nobody(both: _Both, query: str) -> None:
    before = len(both.upstream.requests)
    article, ours = (_ask(server, query) for server in both[:2])
    assert (article.status, ours.status) == (400, 400)
    assert all(b"Missing 'content' parameter" in each.body.data for each in (article, ours))
    assert len(both.upstream.requests) == before
