"""``GET /models`` where there are several upstreams, or names of ours: one list of all.

An upstream's models are those that it lists and would be asked for; then come its aliases. Who
cannot be asked is left out: a list with a hole is better than none.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from tailrace.contracts import Attempts, BodyEnd, Call, Headers, Receiver, UpstreamRequest
from tailrace.errors import UpstreamBroken
from tailrace.upstream.routing.routing import covers, named
from tailrace.upstream.routing.upstream_spec import UpstreamSpec
from tailrace.wire.json.strict_json import has_more_values

# The longest list in the wild, a marketplace's, is some 700 KB, and some 30 000 values.
LIST_LIMIT: Final = 8 * 1024 * 1024
_LIST_VALUES: Final = 100_000


def asks_for_models(request: UpstreamRequest) -> bool:
    """Whether this is a request for the list of models."""
    return request.method == "GET" and request.path.partition("?")[0] == "/models"


class ListAttempts:
    """``contracts.Attempts``: asks all at once; used once."""

    def __init__(self, asked: Sequence[tuple[UpstreamSpec, Attempts]]) -> None:
        self._asked = asked

    @property
    def upstream(self) -> str:
        return ", ".join(spec.name for spec, _ in self._asked)

    @property
    def count(self) -> int:
        return sum(attempts.count for _, attempts in self._asked)

    def rewrite(self, body: bytes, model_at: Sequence[tuple[int, int]] = ()) -> None:
        """As in the contract: a list is asked for without a body."""

    async def next(self, failure: str = "") -> Call:
        """The list. Where nobody gives one and there are no aliases, raises what the last raised,
        or UpstreamBroken.
        """
        if failure:
            raise UpstreamBroken(failure)
        lists = await asyncio.gather(
            *(_listed(attempts) for _, attempts in self._asked), return_exceptions=True
        )
        entries: dict[str, Any] = {}
        error: BaseException | None = None
        for (spec, _), listed in zip(self._asked, lists, strict=True):
            if isinstance(listed, BaseException):
                error = listed
            else:
                _add(entries, spec, listed)
            for alias, _name in spec.aliases:
                entries.setdefault(alias, _entry(alias, spec.name))
        if not entries and error is not None:
            raise error
        body = json.dumps({"object": "list", "data": list(entries.values())})
        return Prepared(200, ((b"content-type", b"application/json"),), body.encode())


async def _listed(attempts: Attempts) -> list[Any]:
    call = await attempts.next()
    body = await call.read(LIST_LIMIT)
    if call.status != 200:
        raise UpstreamBroken(f"The upstream answered GET /models with {call.status}.")
    data = listed_in(body)
    if not isinstance(data, list):
        raise UpstreamBroken("The upstream's list of models is none.")
    return data


def listed_in(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """The ``data`` of a list; None where it is none, or one of very many values."""
    try:
        if has_more_values(body, _LIST_VALUES):
            return None
        listed: Any = json.loads(body)
        return listed["data"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _add(entries: dict[str, Any], spec: UpstreamSpec, listed: list[Any]) -> None:
    for entry in listed:
        model = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(model, str) and (named(spec, model) is not None or covers(spec, model)):
            entries.setdefault(model, entry)


def _entry(model: str, owner: str) -> dict[str, object]:
    return {"id": model, "object": "model", "created": 0, "owned_by": owner}


class Prepared:
    """``contracts.Call`` of what is there already."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self._status = status
        self._headers = headers
        self._body = body

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> Headers:
        return self._headers

    def stream(self, receiver: Receiver) -> None:
        """The whole body at once."""
        receiver.data(self._body)
        receiver.end(BodyEnd.COMPLETE)

    async def read(self, limit: int) -> bytes:
        return self._body[:limit]

    def pause(self) -> None:
        return

    def resume(self) -> None:
        return

    def cancel(self) -> None:
        return
