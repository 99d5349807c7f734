"""The comparison program does what the tutorial's does."""

from __future__ import annotations

import subprocess

import httpx
import pytest

from tailrace.testing.chunks import chunk
from tailrace.testing.faults import FAULTS
from tailrace.testing.recorded import RECORDED, recorded_scripts
from tailrace.testing.script import stream
from tailrace.testing.threaded import ThreadedUpstream

from .runner import running_article


def test_it_streams_the_contents_of_the_chunks_under_its_three_headers() -> None:
    with ThreadedUpstream(scripts=recorded_scripts()) as upstream:
        with running_article(upstream.base_url) as url:
            answer = httpx.get(f"{url}/stream", params={"content": "script:plain"})
        asked = upstream.request()
    assert answer.text == "One day, a fox came."
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["connection"] == "keep-alive"
    assert asked.header("authorization") == "Bearer article-token"
    assert asked.json() == {
        "model": "gpt-3.5-turbo",
        "messages": [{"role": "user", "content": "script:plain"}],
        "temperature": 0.7,
        "stream": True,
    }


def test_each_chunk_leaves_when_it_came() -> None:
    with ThreadedUpstream(stream(chunk("one"), chunk("two"), gate="token")) as upstream:
        # Its head leaves with the first content, so one has to be on its way.
        upstream.admit("token")
        with (
            running_article(upstream.base_url) as url,
            httpx.stream("GET", f"{url}/stream", params={"content": "Hi"}) as answer,
        ):
            parts = answer.iter_raw()
            assert next(parts) == b"one"
            upstream.open("token")
            assert next(parts) == b"two"


def test_a_missing_prompt_is_refused() -> None:
    with ThreadedUpstream() as upstream:
        with running_article(upstream.base_url) as url:
            answer = httpx.get(f"{url}/stream")
        assert upstream.requests == []
    assert (answer.status_code, answer.text) == (400, "Missing 'content' parameter\n")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("surrogates-halved", "\ufffd\ufffd"),
        ("duplicate-content-null", "before keptafter"),
        ("bare-json-line", "before no field nameafter"),
        ("malformed", "before after"),
        ("cut", "halfScanner error\n"),
        ("clean-end", "half"),
        ("crlf", "One day, a fox came."),
        ("bom", "second"),
    ],
)
def test_it_reads_odd_answers_as_go_does(name: str, text: str) -> None:
    with (
        ThreadedUpstream(RECORDED[name].script) as upstream,
        running_article(upstream.base_url) as url,
    ):
        answer = httpx.get(f"{url}/stream", params={"content": "Hi"})
    assert (answer.status_code, answer.text) == (200, text)


def test_a_line_beyond_64_kib_ends_the_answer() -> None:
    with (
        ThreadedUpstream(FAULTS["oversized-event"].script) as upstream,
        running_article(upstream.base_url) as url,
    ):
        answer = httpx.get(f"{url}/stream", params={"content": "Hi"})
    assert answer.text == "Scanner error\n"


def test_the_program_is_gone_when_its_context_is_left() -> None:
    with ThreadedUpstream() as upstream, running_article(upstream.base_url) as url:
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/stream", params={"content": "Hi"})


def test_the_source_is_formatted_and_vetted() -> None:
    from .runner import _SOURCE, article_or_skip, find_go

    article_or_skip()
    subprocess.run([str(find_go()), "vet", "."], cwd=_SOURCE, check=True, timeout=120)
