"""What keeps an upstream from giving an answer."""

from __future__ import annotations

from tailrace.errors.base import TailraceError


class UpstreamError(TailraceError):
    """The model API did not do its part."""

    code = "upstream_broken"
    status = 502
    fault = "upstream"


class UpstreamUnreachable(UpstreamError):
    """No connection, or none that lived until the first byte.

    ``asked``: there was one, and the request was sent on it.
    """

    code = "upstream_unreachable"

    def __init__(self, message: str, *, asked: bool = False) -> None:
        super().__init__(message)
        self.asked = asked


class UpstreamRefused(UpstreamError):
    """The upstream answered, but not with 2xx."""

    code = "upstream_refused"


class UpstreamBroken(UpstreamError):
    """What came is not HTTP, or not the kind of answer that was asked for."""


class UpstreamTimeout(UpstreamError):
    """One of the upstream's clocks ran out before the first byte."""

    code = "upstream_timeout"
    status = 504


class UpstreamsDown(UpstreamError):
    """Every upstream that could answer has failed; it is too soon to ask again.

    ``retry_after``: seconds until one of them may be asked, at the earliest.
    """

    code = "upstreams_down"
    status = 503

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamsBusy(UpstreamError):
    """Every upstream that could answer has as much to do as it may, and enough wait already."""

    code = "upstreams_busy"
    status = 429


class UpstreamQueueTimeout(UpstreamError):
    """The request waited for its turn at an upstream for as long as one may."""

    code = "upstream_queue_timeout"
    status = 503
