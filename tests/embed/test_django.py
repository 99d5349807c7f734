"""The Django example, under uvicorn."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.harness import EVENTS, fetch, get, sse_events
from tests.embed.servers import EXIT_CODES, running

APP = "examples.django_count:application"
DIGITS = "0123456789"


def test_a_view_returns_a_stream_that_resumes(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'count.db'}"
    with running("uvicorn", APP, STREAMS=store) as app:
        with get(app, "/count/a?pace=0", EVENTS) as viewer:
            assert viewer.status == 200
            assert viewer.fields["content-type"] == "text/event-stream"
            assert viewer.fields["content-location"] == "/streams/a"
            *events, end = sse_events(viewer.rest().data)
        assert "".join(event.data for event in events) == DIGITS
        assert json.loads(end.data)["ending"] == "completed"
        resumed = fetch(app, "/count/a", EVENTS, ("Last-Event-ID", events[3].id))
        assert sse_events(resumed.data) == [*events[4:], end]
        with get(app, "/count/a", EVENTS, ("Last-Event-ID", end.id)) as done:
            assert done.status == 204
        assert fetch(app, "/count/a?view=text") == (DIGITS.encode(), True)
        assert fetch(app, "/streams/a") == (DIGITS.encode(), True)
        with get(app, "/count/a?offset=nonsense") as refused:
            assert refused.status == 400
            assert json.loads(refused.rest().data)["code"] == "malformed_offset"
        with get(app, "/elsewhere") as missing:
            assert missing.status == 404  # Django's own


def test_sigterm_with_an_open_viewer_ends_it(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'count.db'}"
    with running("uvicorn", APP, STREAMS=store) as app:
        watching = get(app, "/count/a?pace=3600", EVENTS)
        reading = get(app, "/count/a?view=text")
        leaving = get(app, "/count/a", EVENTS)
        (event,) = sse_events(watching.until(lambda data: bool(sse_events(data))))
        leaving.until(lambda data: bool(sse_events(data)))
        leaving.leave()
        assert reading.until(lambda data: data == b"0") == b"0"
        assert app.terminate() == EXIT_CODES["uvicorn"]
        farewell = watching.rest()
        assert farewell.data.startswith(b"retry: ")
        assert b"event: end" not in farewell.data
        assert reading.rest() == (b"", False)
        watching.leave()
        reading.leave()
    with running("uvicorn", APP, STREAMS=store) as app:
        (end,) = sse_events(fetch(app, "/count/a", EVENTS, ("Last-Event-ID", event.id)).data)
        assert json.loads(end.data)["ending"] == "interrupted"
