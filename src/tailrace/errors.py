"""Everything that can go wrong, drawn before it is coded.

    TailraceError                      code                 status  fault
    ├── RequestError                                                client
    │   ├── BadRequest                 bad_request          400
    │   ├── MalformedOffset            malformed_offset     400
    │   ├── MalformedName              malformed_name       400
    │   ├── Unauthorized               unauthorized         401
    │   ├── Forbidden                  forbidden            403
    │   ├── NotFound                   not_found            404
    │   ├── NoSuchModel                model_not_found      404
    │   ├── MethodNotAllowed           method_not_allowed   405
    │   ├── StreamExists               stream_exists        409
    │   ├── StreamIsClosed             stream_closed        409
    │   ├── StreamHasSource            stream_has_source    409
    │   ├── ContentTypeMismatch        content_type_mismatch 409
    │   ├── WriterSeqConflict          stream_seq_conflict  409
    │   ├── ProducerFenced             producer_fenced      403
    │   ├── ProducerGap                producer_gap         409
    │   ├── OffsetGone                 offset_gone          410
    │   ├── StreamDeleted              stream_deleted       410
    │   ├── BodyTooLarge               body_too_large       413
    │   ├── AnswerTooLarge             answer_too_large     413
    │   ├── UriTooLong                 uri_too_long         414
    │   ├── UnsupportedMediaType       unsupported_media    415
    │   ├── Misdirected                misdirected          421
    │   ├── IdempotencyMismatch        idempotency_mismatch 422
    │   ├── TooMany                    too_many             429
    │   └── HeadersTooLarge            headers_too_large    431
    ├── UpstreamError                                               upstream
    │   ├── UpstreamUnreachable        upstream_unreachable 502
    │   ├── UpstreamRefused            upstream_refused     502
    │   ├── UpstreamBroken             upstream_broken      502
    │   ├── UpstreamTimeout            upstream_timeout     504
    │   ├── UpstreamsDown              upstreams_down       503
    │   ├── UpstreamsBusy              upstreams_busy       429
    │   └── UpstreamQueueTimeout       upstream_queue_timeout 503
    ├── StoreError                                                  server
    │   ├── StoreOverloaded            store_overloaded     503
    │   ├── StoreUnavailable           store_unavailable    503
    │   ├── StoreRefused               store_refused        500
    │   └── StoreFull                  store_full           507
    ├── BodiesFull                     bodies_full          503     server
    ├── ShuttingDown                   shutting_down        503     server
    └── StartupError                                                operator
        ├── ConfigError                config
        ├── AddressInUse               address_in_use
        ├── UpstreamMissing            upstream_missing
        ├── LocalModelError            local_model
        ├── StoreLocked                store_locked
        ├── StoreTooNew                store_too_new
        └── StoreCorrupt               store_corrupt

A message says what was wrong and what to do, in one or two sentences, and holds nothing
secret: it may reach a client, a log and a terminal.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Fault = Literal["client", "upstream", "server", "operator"]


class TailraceError(Exception):
    """The root. ``str(error)`` is fit for the one whose fault it is to read."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    fault: ClassVar[Fault] = "server"


class RequestError(TailraceError):
    """The request cannot be met as it was made."""

    code = "bad_request"
    status = 400
    fault = "client"


class BadRequest(RequestError):
    """A parameter, header or body is missing or malformed."""


class MalformedOffset(RequestError):
    """Not an offset of ours, nor ``-1``, nor ``now``."""

    code = "malformed_offset"


class MalformedName(RequestError):
    """A stream name outside the grammar."""

    code = "malformed_name"


class Unauthorized(RequestError):
    """The token is missing or wrong."""

    code = "unauthorized"
    status = 401


class Forbidden(RequestError):
    """This requester may not do this, whatever token it shows."""

    code = "forbidden"
    status = 403


class NotFound(RequestError):
    """No such stream or route."""

    code = "not_found"
    status = 404


class MethodNotAllowed(RequestError):
    """The route exists, the method does not; ``allow`` lists those that do."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(f"This method is not allowed here; use {', '.join(allow)}.")
        self.allow = allow


class StreamExists(RequestError):
    """The name is taken."""

    code = "stream_exists"
    status = 409


class StreamIsClosed(RequestError):
    """Nothing can be appended any more."""

    code = "stream_closed"
    status = 409


class StreamHasSource(RequestError):
    """A source fills this stream; nobody else may append."""

    code = "stream_has_source"
    status = 409


class ContentTypeMismatch(RequestError):
    """What is appended is of another type than the stream."""

    code = "content_type_mismatch"
    status = 409


class WriterSeqConflict(RequestError):
    """``Stream-Seq`` is not greater than the last one."""

    code = "stream_seq_conflict"
    status = 409


class ProducerFenced(RequestError):
    """A later epoch of this producer has begun; ``epoch`` is the current one."""

    code = "producer_fenced"
    status = 403

    def __init__(self, epoch: int) -> None:
        super().__init__(
            f"This producer's epoch is {epoch} by now; what writes with an older one must stop, "
            "or begin a later epoch."
        )
        self.epoch = epoch


class ProducerGap(RequestError):
    """A producer's batch came before the one that it follows."""

    code = "producer_gap"
    status = 409

    def __init__(self, expected: int, received: int) -> None:
        super().__init__(
            f"The producer's next batch is {expected}, this is {received}; send those between "
            "first."
        )
        self.expected = expected
        self.received = received


class OffsetGone(RequestError):
    """The offset belongs to an earlier making of this name, or to trimmed events."""

    code = "offset_gone"
    status = 410


class StreamDeleted(RequestError):
    """The stream was deleted, but forks of it are still there, so its name is not free."""

    code = "stream_deleted"
    status = 410


class BodyTooLarge(RequestError):
    """The request body is over its limit."""

    code = "body_too_large"
    status = 413


class AnswerTooLarge(RequestError):
    """A kept answer is larger than what is put together; it can be read as a stream."""

    code = "answer_too_large"
    status = 413


class UriTooLong(RequestError):
    """The request target is over its limit."""

    code = "uri_too_long"
    status = 414


class UnsupportedMediaType(RequestError):
    """The body is of a type this route does not take."""

    code = "unsupported_media_type"
    status = 415


class Misdirected(RequestError):
    """The Host header names none of the hosts this server answers to."""

    code = "misdirected"
    status = 421


class IdempotencyMismatch(RequestError):
    """The key came with another body before."""

    code = "idempotency_mismatch"
    status = 422


class TooMany(RequestError):
    """A configured limit on a number of things is reached; try again later."""

    code = "too_many"
    status = 429


class HeadersTooLarge(RequestError):
    """The request's header section is over its limit."""

    code = "headers_too_large"
    status = 431


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


class NoSuchModel(RequestError):
    """No upstream answers for the model that was asked for."""

    code = "model_not_found"
    status = 404


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


class StoreError(TailraceError):
    """The store cannot keep or give what was asked; nothing was acknowledged."""

    code = "store_unavailable"
    status = 503


class StoreOverloaded(StoreError):
    """More waits to be written than may; try again shortly."""

    code = "store_overloaded"


class StoreUnavailable(StoreError):
    """The storage fails; the store is trying to reopen it."""


class StoreRefused(StoreError):
    """The store is well, and cannot keep this one change; nothing of it was kept."""

    code = "store_refused"
    status = 500


class StoreFull(StoreError):
    """No space left on the device, or the configured limit is reached."""

    code = "store_full"
    status = 507


class BodiesFull(TailraceError):
    """As many bytes of requests are held as may be; this one's body was not read."""

    code = "bodies_full"
    status = 503


class ShuttingDown(TailraceError):
    """The server is going away; a client should come back in a moment."""

    code = "shutting_down"
    status = 503


class StartupError(TailraceError):
    """Why the server cannot start: one line on standard error and a non-zero exit."""

    code = "startup"
    fault = "operator"


class ConfigError(StartupError):
    """A setting is unknown, unreadable or out of range."""

    code = "config"


class AddressInUse(StartupError):
    """Another process listens where we were told to."""

    code = "address_in_use"


class UpstreamMissing(StartupError):
    """No upstream was named, and the local model is not installed."""

    code = "upstream_missing"


class LocalModelError(StartupError):
    """The local model cannot be started."""

    code = "local_model"


class StoreLocked(StartupError):
    """Another process, or another part of this one, has the store."""

    code = "store_locked"


class StoreTooNew(StartupError):
    """The store was written by a newer version."""

    code = "store_too_new"


class StoreCorrupt(StartupError):
    """The store's file is damaged; it is left as it is."""

    code = "store_corrupt"
